package tests

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"

	first "statefun.internal/sdk-go/pkg/flink/statefun"
	firstio "statefun.internal/sdk-go/pkg/flink/statefun/io"
	"statefun.internal/sdk-go/pkg/statefun"
)

// The names of the SDKs that these packages stand in for: that it compiles is the test.
var (
	_ interface {
		WithSpec(statefun.StatefulFunctionSpec) error
		AsHandler() statefun.RequestReplyHandler
	} = statefun.StatefulFunctionsBuilder()
	_ interface {
		http.Handler
		Invoke(context.Context, []byte) ([]byte, error)
	} = statefun.RequestReplyHandler(nil)
	_ interface {
		context.Context
		Self() statefun.Address
		Caller() *statefun.Address
		Send(statefun.MessageBuilder)
		SendAfter(time.Duration, statefun.MessageBuilder)
		SendAfterWithCancellationToken(time.Duration, statefun.CancellationToken, statefun.MessageBuilder)
		CancelDelayedMessage(statefun.CancellationToken)
		SendEgress(statefun.EgressBuilder)
		Storage() statefun.AddressScopedStorage
	} = statefun.Context(nil)
	_ interface {
		Get(statefun.ValueSpec, interface{}) bool
		Set(statefun.ValueSpec, interface{})
		Remove(statefun.ValueSpec)
	} = statefun.AddressScopedStorage(nil)
	_ interface {
		fmt.Stringer
		Token() string
	} = statefun.CancellationToken(nil)
	_ interface {
		fmt.Stringer
		GetNamespace() string
		GetType() string
	} = statefun.TypeName(nil)
	_ interface {
		GetTypeName() statefun.TypeName
		Deserialize(io.Reader, interface{}) error
		Serialize(io.Writer, interface{}) error
	} = statefun.SimpleType(statefun.BoolType)

	_ func(string) (statefun.CancellationToken, error)                 = statefun.NewCancellationToken
	_ func(statefun.Context, context.Context) statefun.Context         = statefun.DeriveContext
	_ func(string) statefun.TypeName                                   = statefun.TypeNameFrom
	_ func(string) (statefun.TypeName, error)                          = statefun.ParseTypeName
	_ func(string, string) (statefun.TypeName, error)                  = statefun.TypeNameFromParts
	_ func(statefun.TypeName) statefun.SimpleType                      = statefun.MakeJsonType
	_ func(proto.Message) statefun.SimpleType                          = statefun.MakeProtobufType
	_ func(statefun.TypeName) statefun.SimpleType                      = statefun.MakeProtobufTypeWithTypeName
	_ func(time.Duration) statefun.Expiration                          = statefun.ExpireAfterCall
	_ func(time.Duration) statefun.Expiration                          = statefun.ExpireAfterWrite
	_ func(statefun.MessageBuilder) (statefun.Message, error)          = statefun.MessageBuilder.ToMessage
	_ func(statefun.StatefulFunctionPointer) statefun.StatefulFunction = asFunction
	_                                                                  = []statefun.PrimitiveType{
		statefun.BoolType, statefun.Int32Type, statefun.Int64Type,
		statefun.Float32Type, statefun.Float64Type, statefun.StringType,
	}
	_ = []statefun.EgressBuilder{
		statefun.KafkaEgressBuilder{Target: nil, Topic: "", Key: "", Value: nil, ValueType: nil},
		statefun.KinesisEgressBuilder{Target: nil, Stream: "", Value: nil, ValueType: nil, PartitionKey: "", ExplicitHashKey: ""},
		statefun.GenericEgressBuilder{Target: nil, Value: nil, ValueType: nil},
	}
	_ interface {
		IsBool() bool
		AsBool() bool
		IsInt32() bool
		AsInt32() int32
		IsInt64() bool
		AsInt64() int64
		IsFloat32() bool
		AsFloat32() float32
		IsFloat64() bool
		AsFloat64() float64
		IsString() bool
		AsString() string
		Is(statefun.SimpleType) bool
		As(statefun.SimpleType, interface{}) error
		ValueTypeName() statefun.TypeName
		RawValue() []byte
	} = &statefun.Message{}

	_ interface {
		http.Handler
		Invoke(context.Context, []byte) ([]byte, error)
		RegisterFunction(first.FunctionType, first.StatefulFunction) error
	} = first.NewFunctionRegistry()
	_ interface {
		Send(first.Address, proto.Message) error
		SendAfter(first.Address, time.Duration, proto.Message) error
		SendEgress(firstio.EgressIdentifier, proto.Message) error
	} = first.Output(nil)
	_ interface {
		Get(proto.Message) (bool, error)
		Set(proto.Message) error
		Clear()
	} = first.State(nil)
	_ interface {
		Invoke(context.Context, first.Output, *anypb.Any) error
	} = first.StatefulFunction(nil)
	_ func(context.Context) *first.Address = first.Self
	_ func(context.Context) *first.Address = first.Caller
	_ interface {
		ToMessage() (proto.Message, error)
	} = &firstio.KafkaRecord{Topic: "", Key: "", Value: nil}
	_ interface {
		ToMessage() (proto.Message, error)
	} = &firstio.KinesisRecord{Stream: "", PartitionKey: "", ExplicitHashKey: "", Value: nil}
)

func asFunction(pointer statefun.StatefulFunctionPointer) statefun.StatefulFunction { return pointer }

// Two packages that register one name end a program before its main. Whoever links another SDK of the
// same protocol, or code generated from its protos, is safe as long as nothing is registered here.
func TestNothingOfTheProtocolIsRegisteredWithProtobuf(t *testing.T) {
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if name := string(file.Package()); strings.Contains(name, "statefun") {
			t.Errorf("%s registers package %s", file.Path(), name)
		}
		return true
	})
}
