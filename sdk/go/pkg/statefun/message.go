package statefun

import (
	"errors"
	"fmt"

	"statefun.internal/sdk-go/internal/wire"
)

// MessageBuilder is a message to be sent. The primitives need no ValueType; an int is not one of them,
// for nobody knows whether int32 or int64 is meant.
type MessageBuilder struct {
	Target    Address
	Value     interface{}
	ValueType SimpleType
}

// ToMessage checks and encodes the message.
func (m MessageBuilder) ToMessage() (Message, error) {
	target, err := m.Target.onWire()
	if err != nil {
		return Message{}, err
	}
	tpe, err := typeOf(m.Value, m.ValueType)
	if err != nil {
		return Message{}, fmt.Errorf("the message to %v: %w", target, err)
	}
	value, err := serialize(tpe, m.Value)
	if err != nil {
		return Message{}, fmt.Errorf("the message to %v: %w", target, err)
	}
	typename := tpe.GetTypeName().String()
	return Message{target, wire.Value{Typename: typename, HasValue: true, Bytes: value}}, nil
}

func typeOf(value interface{}, tpe SimpleType) (SimpleType, error) {
	if value == nil {
		return nil, errNoValue
	}
	if tpe != nil {
		return tpe, nil
	}
	switch value.(type) {
	case bool, *bool:
		return BoolType, nil
	case int32, *int32:
		return Int32Type, nil
	case int64, *int64:
		return Int64Type, nil
	case float32, *float32:
		return Float32Type, nil
	case float64, *float64:
		return Float64Type, nil
	case string, *string:
		return StringType, nil
	case int:
		return nil, errors.New("an int may be an int32 or an int64; make it one of them")
	}
	return nil, fmt.Errorf("a value of type %T needs a ValueType", value)
}

// Message is what a function is called with: a value of some type.
type Message struct {
	target wire.Address
	value  wire.Value
}

// Is says whether the value is of a type.
func (m *Message) Is(t SimpleType) bool {
	return t.GetTypeName().String() == m.value.Typename
}

// As reads the value as one of that type, without comparing its name.
func (m *Message) As(t SimpleType, receiver interface{}) error {
	return deserialize(t, m.value.Bytes, receiver)
}

// ValueTypeName returns the name of the value's type.
func (m *Message) ValueTypeName() TypeName {
	return TypeNameFrom(m.value.Typename)
}

// RawValue returns the bytes of the value. They are not to be changed.
func (m *Message) RawValue() []byte {
	return m.value.Bytes
}

func (m *Message) IsBool() bool    { return m.Is(BoolType) }
func (m *Message) IsInt32() bool   { return m.Is(Int32Type) }
func (m *Message) IsInt64() bool   { return m.Is(Int64Type) }
func (m *Message) IsFloat32() bool { return m.Is(Float32Type) }
func (m *Message) IsFloat64() bool { return m.Is(Float64Type) }
func (m *Message) IsString() bool  { return m.Is(StringType) }

// AsBool and its kin panic with an error if the value is not of their type, which fails the batch.
func (m *Message) AsBool() bool       { return read[bool](m, BoolType) }
func (m *Message) AsInt32() int32     { return read[int32](m, Int32Type) }
func (m *Message) AsInt64() int64     { return read[int64](m, Int64Type) }
func (m *Message) AsFloat32() float32 { return read[float32](m, Float32Type) }
func (m *Message) AsFloat64() float64 { return read[float64](m, Float64Type) }
func (m *Message) AsString() string   { return read[string](m, StringType) }

func read[T any](m *Message, t PrimitiveType) (value T) {
	if !m.Is(t) {
		refuse("the message is a %s, not a %v", m.value.Typename, t.GetTypeName())
	}
	if err := t.read(m.value.Bytes, &value); err != nil {
		refuse("the message cannot be read: %w", err)
	}
	return value
}
