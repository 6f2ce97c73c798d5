package statefun

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
)

// SimpleType is a type of values: the name that goes with them, and how they are bytes. The
// primitives, JSON and protobuf are here; for others, implement it.
type SimpleType interface {
	GetTypeName() TypeName

	Deserialize(r io.Reader, receiver interface{}) error

	Serialize(writer io.Writer, data interface{}) error
}

type jsonType struct {
	typeName TypeName
}

// MakeJsonType makes a type of that name whose bytes are what encoding/json writes.
func MakeJsonType(name TypeName) SimpleType {
	return jsonType{typeName: name}
}

func (j jsonType) GetTypeName() TypeName { return j.typeName }

func (j jsonType) Deserialize(r io.Reader, receiver interface{}) error {
	return json.NewDecoder(r).Decode(receiver)
}

func (j jsonType) Serialize(writer io.Writer, data interface{}) error {
	return json.NewEncoder(writer).Encode(data)
}

type protoType struct {
	typeName TypeName
}

// MakeProtobufType makes a type of the message's name, type.googleapis.com/package.Message.
func MakeProtobufType(m proto.Message) SimpleType {
	name, err := TypeNameFromParts("type.googleapis.com", string(proto.MessageName(m)))
	if err != nil {
		panic(fmt.Errorf("MakeProtobufType needs a message: %w", err))
	}
	return MakeProtobufTypeWithTypeName(name)
}

// MakeProtobufTypeWithTypeName makes a type of any name whose values are protobuf messages.
func MakeProtobufTypeWithTypeName(typeName TypeName) SimpleType {
	return protoType{typeName: typeName}
}

func (p protoType) GetTypeName() TypeName { return p.typeName }

func (p protoType) Deserialize(r io.Reader, receiver interface{}) error {
	message, ok := receiver.(proto.Message)
	if !ok {
		return fmt.Errorf("a value of %v is read into a proto.Message, not into a %T", p.typeName, receiver)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return proto.Unmarshal(data, message)
}

func (p protoType) Serialize(writer io.Writer, data interface{}) error {
	message, ok := data.(proto.Message)
	if !ok {
		return fmt.Errorf("a value of %v is a proto.Message, not a %T", p.typeName, data)
	}
	encoded, err := proto.Marshal(message)
	if err != nil {
		return err
	}
	_, err = writer.Write(encoded)
	return err
}

var errNoValue = errors.New("the value is nil")

// serialize returns the bytes of a value. The primitives are read and written here without a reader
// or writer in between, which is most of what they cost.
func serialize(tpe SimpleType, value interface{}) ([]byte, error) {
	if value == nil {
		return nil, errNoValue
	}
	if primitive, ok := tpe.(PrimitiveType); ok {
		return primitive.append(nil, value)
	}
	var buffer bytes.Buffer
	if err := tpe.Serialize(&buffer, value); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

func deserialize(tpe SimpleType, value []byte, receiver interface{}) error {
	if primitive, ok := tpe.(PrimitiveType); ok {
		return primitive.read(value, receiver)
	}
	if kind := reflect.ValueOf(receiver); kind.Kind() != reflect.Pointer || kind.IsNil() {
		return fmt.Errorf("a value is read into a pointer, not into a %T", receiver)
	}
	return tpe.Deserialize(bytes.NewReader(value), receiver)
}

// checkText refuses what protobuf has no string for.
func checkText(what string, texts ...string) error {
	for _, text := range texts {
		if !utf8.ValidString(text) {
			return fmt.Errorf("%s is not valid UTF-8: %q", what, text)
		}
	}
	return nil
}
