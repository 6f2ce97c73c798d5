// Package wire reads and writes the messages of protos/sdk/request-reply.proto and their kin.
//
// It is written by hand, on protowire. Generated code would register descriptors under the names of
// these messages, and a program that links another SDK of the same protocol would end with a panic
// before its main; and it would make an object of every field that is only passed on.
package wire

import (
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// A cursor walks over the fields of one message. After next has returned true, exactly one of bytes,
// text, varint and skip takes the field's value. The first error ends the walk and stays.
type cursor struct {
	rest   []byte
	number protowire.Number
	kind   protowire.Type
	err    error
}

func (c *cursor) next() bool {
	if c.err != nil || len(c.rest) == 0 {
		return false
	}
	number, kind, n := protowire.ConsumeTag(c.rest)
	if n < 0 {
		c.err = protowire.ParseError(n)
		return false
	}
	c.number, c.kind, c.rest = number, kind, c.rest[n:]
	return true
}

// is says whether the field is the one of that number. As in protobuf, a field of another wire type
// is another field.
func (c *cursor) is(number protowire.Number, kind protowire.Type) bool {
	return c.number == number && c.kind == kind
}

// bytes returns a part of what is read, not a copy. It cannot grow into what follows it.
func (c *cursor) bytes() []byte {
	value, n := protowire.ConsumeBytes(c.rest)
	c.pass(n)
	return value[:len(value):len(value)]
}

func (c *cursor) text(names Names) string {
	value := c.bytes()
	if known, ok := names[string(value)]; ok {
		return known
	}
	if c.err == nil && !utf8.Valid(value) {
		c.err = fmt.Errorf("field %d is not valid UTF-8", c.number)
	}
	return string(value)
}

func (c *cursor) varint() uint64 {
	value, n := protowire.ConsumeVarint(c.rest)
	c.pass(n)
	return value
}

func (c *cursor) skip() {
	c.pass(protowire.ConsumeFieldValue(c.number, c.kind, c.rest))
}

func (c *cursor) pass(n int) {
	if n < 0 {
		c.err = protowire.ParseError(n)
		return
	}
	c.rest = c.rest[n:]
}
