package wire

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// An Address names one instance of a function type.
type Address struct {
	Namespace string
	Type      string
	Id        string
}

func (a Address) String() string {
	return a.Namespace + "/" + a.Type + "/" + a.Id
}

// A Value is a TypedValue: bytes and the name of what they are. Without HasValue there is none.
type Value struct {
	Typename string
	HasValue bool
	Bytes    []byte
}

// A State is one state as the runtime knows it.
type State struct {
	Name  string
	Value Value
}

// An Invocation is one message to the function. Record is what an extension of the protocol says of
// the record that it came from, undecoded; nil if nothing.
type Invocation struct {
	Caller    Address
	HasCaller bool
	Argument  Value
	Record    []byte
}

// A Batch is all that waited for one address. Its bytes are parts of the request's.
type Batch struct {
	Target      Address
	States      []State
	Invocations []Invocation
}

// Names holds strings that are often read, so that they are not made anew each time.
type Names map[string]string

// Add makes a string one that is often read.
func (n Names) Add(names ...string) {
	for _, name := range names {
		n[name] = name
	}
}

const (
	invocationOf = protowire.Number(100)
	recordOf     = protowire.Number(1000)
)

// ParseToFunction reads a ToFunction that holds an invocation batch.
func ParseToFunction(body []byte, names Names) (*Batch, error) {
	var batch *Batch
	fields := cursor{rest: body}
	for fields.next() {
		if !fields.is(invocationOf, protowire.BytesType) {
			fields.skip()
			continue
		}
		if batch == nil {
			batch = &Batch{}
		}
		if content := fields.bytes(); fields.err == nil {
			fields.err = batch.parse(content, names)
		}
	}
	if fields.err != nil {
		return nil, fmt.Errorf("the request is not a ToFunction: %w", fields.err)
	}
	if batch == nil {
		return nil, errors.New("the request is a ToFunction without an invocation batch")
	}
	return batch, nil
}

func (b *Batch) parse(content []byte, names Names) error {
	fields := cursor{rest: content}
	for fields.next() {
		if fields.kind != protowire.BytesType || fields.number > 3 {
			fields.skip()
			continue
		}
		part := fields.bytes()
		if fields.err != nil {
			break
		}
		switch fields.number {
		case 1:
			fields.err = b.Target.parse(part, names)
		case 2:
			b.States = append(b.States, State{})
			fields.err = b.States[len(b.States)-1].parse(part, names)
		case 3:
			b.Invocations = append(b.Invocations, Invocation{})
			fields.err = b.Invocations[len(b.Invocations)-1].parse(part, names)
		}
	}
	return fields.err
}

// CallerIfAny returns the address that sent the message, false if it came from an ingress: to some runtimes an
// address without content is none.
func (i *Invocation) CallerIfAny() (Address, bool) {
	return i.Caller, i.HasCaller && i.Caller != (Address{})
}

func (a *Address) parse(content []byte, names Names) error {
	fields := cursor{rest: content}
	for fields.next() {
		switch {
		case fields.is(1, protowire.BytesType):
			a.Namespace = fields.text(names)
		case fields.is(2, protowire.BytesType):
			a.Type = fields.text(names)
		case fields.is(3, protowire.BytesType):
			a.Id = fields.text(nil)
		default:
			fields.skip()
		}
	}
	return fields.err
}

func (s *State) parse(content []byte, names Names) error {
	fields := cursor{rest: content}
	for fields.next() {
		switch {
		case fields.is(1, protowire.BytesType):
			s.Name = fields.text(names)
		case fields.is(2, protowire.BytesType):
			if part := fields.bytes(); fields.err == nil {
				fields.err = s.Value.parse(part, names)
			}
		default:
			fields.skip()
		}
	}
	return fields.err
}

func (i *Invocation) parse(content []byte, names Names) error {
	fields := cursor{rest: content}
	for fields.next() {
		switch {
		case fields.is(1, protowire.BytesType):
			i.HasCaller = true
			if part := fields.bytes(); fields.err == nil {
				fields.err = i.Caller.parse(part, names)
			}
		case fields.is(2, protowire.BytesType):
			if part := fields.bytes(); fields.err == nil {
				fields.err = i.Argument.parse(part, names)
			}
		case fields.is(recordOf, protowire.BytesType):
			i.Record = fields.bytes()
		default:
			fields.skip()
		}
	}
	return fields.err
}

func (v *Value) parse(content []byte, names Names) error {
	fields := cursor{rest: content}
	for fields.next() {
		switch {
		case fields.is(1, protowire.BytesType):
			v.Typename = fields.text(names)
		case fields.is(2, protowire.VarintType):
			v.HasValue = fields.varint() != 0
		case fields.is(3, protowire.BytesType):
			v.Bytes = fields.bytes()
		default:
			fields.skip()
		}
	}
	return fields.err
}
