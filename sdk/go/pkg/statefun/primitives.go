package statefun

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"reflect"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// PrimitiveType is a type that every SDK knows. Its bytes are a protobuf message with the value as its
// field 1; zero, false and "" are no bytes at all.
type PrimitiveType int

const (
	BoolType PrimitiveType = iota
	Int32Type
	Int64Type
	Float32Type
	Float64Type
	StringType
)

func (p PrimitiveType) GetTypeName() TypeName {
	switch p {
	case BoolType:
		return boolTypeName
	case Int32Type:
		return int32TypeName
	case Int64Type:
		return int64TypeName
	case Float32Type:
		return float32TypeName
	case Float64Type:
		return float64TypeName
	case StringType:
		return stringTypeName
	}
	panic(fmt.Errorf("there is no primitive type of number %d", int(p)))
}

func (p PrimitiveType) Deserialize(r io.Reader, receiver interface{}) error {
	value, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return p.read(value, receiver)
}

func (p PrimitiveType) Serialize(writer io.Writer, data interface{}) error {
	value, err := p.append(nil, data)
	if err != nil {
		return err
	}
	_, err = writer.Write(value)
	return err
}

// append adds a value that is of the type, or a pointer to one.
func (p PrimitiveType) append(to []byte, data interface{}) ([]byte, error) {
	switch p {
	case BoolType:
		if value, ok := given[bool](data); ok {
			return appendFixed(to, protowire.VarintType, protowire.EncodeBool(value)), nil
		}
	case Int32Type:
		if value, ok := given[int32](data); ok {
			return appendFixed(to, protowire.Fixed32Type, uint64(uint32(value))), nil
		}
	case Int64Type:
		if value, ok := given[int64](data); ok {
			return appendFixed(to, protowire.Fixed64Type, uint64(value)), nil
		}
	case Float32Type:
		if value, ok := given[float32](data); ok {
			return appendFixed(to, protowire.Fixed32Type, uint64(math.Float32bits(value))), nil
		}
	case Float64Type:
		if value, ok := given[float64](data); ok {
			return appendFixed(to, protowire.Fixed64Type, math.Float64bits(value)), nil
		}
	case StringType:
		if value, ok := given[string](data); ok {
			return appendString(to, value)
		}
	}
	if pointer := reflect.ValueOf(data); pointer.Kind() == reflect.Pointer && pointer.IsNil() {
		return nil, fmt.Errorf("the value is a nil %T", data)
	}
	return nil, fmt.Errorf("a value of %v has the Go type %s, and this is of %T", p.GetTypeName(), p.kind(), data)
}

// read takes a value apart, into a pointer to its type. What stands in unknown fields is passed over.
func (p PrimitiveType) read(value []byte, receiver interface{}) error {
	switch p {
	case BoolType:
		if to, ok := receiver.(*bool); ok && to != nil {
			bits, err := p.field(value, protowire.VarintType)
			*to = protowire.DecodeBool(bits)
			return err
		}
	case Int32Type:
		if to, ok := receiver.(*int32); ok && to != nil {
			bits, err := p.field(value, protowire.Fixed32Type)
			*to = int32(bits)
			return err
		}
	case Int64Type:
		if to, ok := receiver.(*int64); ok && to != nil {
			bits, err := p.field(value, protowire.Fixed64Type)
			*to = int64(bits)
			return err
		}
	case Float32Type:
		if to, ok := receiver.(*float32); ok && to != nil {
			bits, err := p.field(value, protowire.Fixed32Type)
			*to = math.Float32frombits(uint32(bits))
			return err
		}
	case Float64Type:
		if to, ok := receiver.(*float64); ok && to != nil {
			bits, err := p.field(value, protowire.Fixed64Type)
			*to = math.Float64frombits(bits)
			return err
		}
	case StringType:
		if to, ok := receiver.(*string); ok && to != nil {
			text, err := p.text(value)
			*to = text
			return err
		}
	}
	return fmt.Errorf("a value of %v is read into a *%s, not into a %T", p.GetTypeName(), p.kind(), receiver)
}

func (p PrimitiveType) kind() string {
	return [...]string{"bool", "int32", "int64", "float32", "float64", "string"}[p]
}

// field returns the bits of field 1, zero if it is not there. A field 1 of another wire type is a
// value of another type: protobuf would pass over it, and a text would read as the number 0.
func (p PrimitiveType) field(value []byte, kind protowire.Type) (bits uint64, err error) {
	err = p.eachField(value, kind, func(content []byte) {
		switch kind {
		case protowire.VarintType:
			bits, _ = protowire.ConsumeVarint(content)
		case protowire.Fixed32Type:
			bits = uint64(binary.LittleEndian.Uint32(content))
		case protowire.Fixed64Type:
			bits = binary.LittleEndian.Uint64(content)
		}
	})
	return bits, err
}

func (p PrimitiveType) text(value []byte) (string, error) {
	var text []byte
	err := p.eachField(value, protowire.BytesType, func(content []byte) {
		text, _ = protowire.ConsumeBytes(content)
	})
	if err == nil && !utf8.Valid(text) {
		err = fmt.Errorf("the bytes are no value of %v: not valid UTF-8", p.GetTypeName())
	}
	return string(text), err
}

func (p PrimitiveType) eachField(value []byte, kind protowire.Type, take func([]byte)) error {
	for len(value) > 0 {
		number, found, n := protowire.ConsumeTag(value)
		if n < 0 {
			return fmt.Errorf("the bytes are no value of %v: %w", p.GetTypeName(), protowire.ParseError(n))
		}
		value = value[n:]
		n = protowire.ConsumeFieldValue(number, found, value)
		if n < 0 {
			return fmt.Errorf("the bytes are no value of %v: %w", p.GetTypeName(), protowire.ParseError(n))
		}
		if number == 1 && found != kind {
			return fmt.Errorf("the bytes are no value of %v: its field has the wire type %d", p.GetTypeName(), found)
		}
		if number == 1 {
			take(value[:n])
		}
		value = value[n:]
	}
	return nil
}

// given returns a value that was given as itself or as a pointer.
func given[T any](data interface{}) (value T, ok bool) {
	switch data := data.(type) {
	case T:
		return data, true
	case *T:
		if data != nil {
			return *data, true
		}
	}
	return value, false
}

func appendFixed(to []byte, kind protowire.Type, bits uint64) []byte {
	if bits == 0 {
		return to
	}
	to = protowire.AppendTag(to, 1, kind)
	switch kind {
	case protowire.Fixed32Type:
		return protowire.AppendFixed32(to, uint32(bits))
	case protowire.Fixed64Type:
		return protowire.AppendFixed64(to, bits)
	}
	return protowire.AppendVarint(to, bits)
}

func appendString(to []byte, value string) ([]byte, error) {
	if err := checkText("a value of io.statefun.types/string", value); err != nil {
		return nil, err
	}
	if value == "" {
		return to, nil
	}
	return protowire.AppendString(protowire.AppendTag(to, 1, protowire.BytesType), value), nil
}
