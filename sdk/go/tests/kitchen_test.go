package tests

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"statefun.internal/sdk-go/pkg/statefun"
)

// pythonJson writes JSON as Python's json.dumps does, for the recordings are of a Python SDK. None of
// their texts has a colon or a comma in it.
type pythonJson struct{ statefun.SimpleType }

func (p pythonJson) Serialize(writer io.Writer, data interface{}) error {
	encoded, err := json.Marshal(data)
	if err != nil {
		return err
	}
	encoded = bytes.ReplaceAll(encoded, []byte(":"), []byte(": "))
	_, err = writer.Write(bytes.ReplaceAll(encoded, []byte(","), []byte(", ")))
	return err
}

func jsonOf(typename string) statefun.SimpleType {
	return pythonJson{statefun.MakeJsonType(statefun.TypeNameFrom(typename))}
}

var (
	kitchenJson = jsonOf("conf.types/json")
	stateA      = statefun.ValueSpec{Name: "a", ValueType: statefun.Int32Type}
	stateB      = statefun.ValueSpec{
		Name: "b", ValueType: statefun.BoolType, Expiration: statefun.ExpireAfterWrite(24 * time.Hour),
	}
	stateC = statefun.ValueSpec{
		Name: "c", ValueType: statefun.StringType, Expiration: statefun.ExpireAfterCall(5 * time.Minute),
	}
	stateD = statefun.ValueSpec{Name: "d", ValueType: kitchenJson}
	other  = statefun.Address{FunctionType: statefun.TypeNameFrom("conf.other/fn"), Id: "t-1"}
	kafka  = statefun.KafkaEgressBuilder{
		Target: statefun.TypeNameFrom("conf.io/kafka"), Topic: "out", Key: "k", Value: "v",
	}
)

// kitchen does what its argument says, a comma between commands.
func kitchen(ctx statefun.Context, message statefun.Message) error {
	commands := "types"
	if message.IsString() {
		commands = message.AsString()
	}
	for _, command := range strings.Split(commands, ",") {
		if err := cook(ctx, command); err != nil {
			return err
		}
	}
	return nil
}

func cook(ctx statefun.Context, command string) error {
	to := func(value interface{}) statefun.MessageBuilder {
		return statefun.MessageBuilder{Target: other, Value: value}
	}
	token, _ := statefun.NewCancellationToken("tok-1")
	switch command {
	case "send":
		ctx.Send(to("hi"))
	case "self":
		ctx.Send(statefun.MessageBuilder{Target: ctx.Self(), Value: "noop"})
	case "prims":
		for _, value := range []interface{}{
			true, false, int32(-1), int32(0), int64(-1 << 40), float32(1.5), -2.25, "", "é中",
		} {
			ctx.Send(to(value))
		}
		ctx.Send(statefun.MessageBuilder{
			Target: other, Value: map[string][]int{"k": {1, 2}}, ValueType: kitchenJson,
		})
	case "delay":
		ctx.SendAfter(1500*time.Millisecond, to("later"))
	case "delay0":
		ctx.SendAfter(0, to("now"))
	case "delaytok":
		ctx.SendAfterWithCancellationToken(time.Hour, token, to("later"))
	case "cancel":
		ctx.CancelDelayedMessage(token)
	case "reply":
		ctx.Send(statefun.MessageBuilder{Target: *ctx.Caller(), Value: "re"})
	case "boom":
		return errors.New("boom")
	default:
		cookRecord(ctx, command)
		cookState(ctx.Storage(), command)
	}
	return nil
}

func cookRecord(ctx statefun.Context, command string) {
	record, x := kafka, map[string]int{"x": 1}
	switch command {
	case "kafka":
		ctx.SendEgress(record)
	case "kafkanokey":
		record.Key = ""
		ctx.SendEgress(record)
	case "kafkaint":
		record.Value = int32(1337)
		ctx.SendEgress(record)
	case "kafkajson":
		record.Value, record.ValueType = x, kitchenJson
		ctx.SendEgress(record)
	case "kinesis":
		ctx.SendEgress(statefun.KinesisEgressBuilder{
			Target: statefun.TypeNameFrom("conf.io/kinesis"),
			Stream: "s", PartitionKey: "p", ExplicitHashKey: "h", Value: "v",
		})
	case "egress":
		target := statefun.TypeNameFrom("conf.io/generic")
		ctx.SendEgress(statefun.GenericEgressBuilder{Target: target, Value: x, ValueType: kitchenJson})
	}
}

func cookState(storage statefun.AddressScopedStorage, command string) {
	switch command {
	case "seta":
		var a int32
		storage.Get(stateA, &a)
		storage.Set(stateA, a+1)
	case "setb":
		var b bool
		storage.Get(stateB, &b)
		storage.Set(stateB, !b)
	case "setc":
		storage.Set(stateC, "see")
	case "setd":
		storage.Set(stateD, map[string]int{"x": 1})
	case "dela":
		storage.Remove(stateA)
	case "delc":
		storage.Remove(stateC)
	}
}

type greetRequest struct {
	Name   string `json:"name"`
	Visits int32  `json:"visits"`
}

type playgroundRecord struct {
	Topic   string `json:"topic"`
	Payload string `json:"payload"`
}

var (
	requestType = jsonOf("example/GreetRequest")
	recordType  = jsonOf("io.statefun.playground/EgressRecord")
	visits      = statefun.ValueSpec{Name: "visits", ValueType: statefun.Int32Type}
	greeterType = statefun.TypeNameFrom("example/greeter")
)

func person(ctx statefun.Context, message statefun.Message) error {
	var count int32
	ctx.Storage().Get(visits, &count)
	count++
	ctx.Storage().Set(visits, count)
	var request greetRequest
	if err := message.As(requestType, &request); err != nil {
		return err
	}
	request.Visits = count
	target := statefun.Address{FunctionType: greeterType, Id: request.Name}
	ctx.Send(statefun.MessageBuilder{Target: target, Value: request, ValueType: requestType})
	return nil
}

func greeter(ctx statefun.Context, message statefun.Message) error {
	var request greetRequest
	if err := message.As(requestType, &request); err != nil {
		return err
	}
	words := map[int32]string{1: "Welcome %s", 2: "Nice to see you again %s", 3: "Third time is a charm %s"}
	greeting, ok := words[request.Visits]
	if !ok {
		greeting = fmt.Sprintf("Nice to see you at the %d-nth time %%s!", request.Visits)
	}
	ctx.SendEgress(statefun.GenericEgressBuilder{
		Target:    statefun.TypeNameFrom("io.statefun.playground/egress"),
		Value:     playgroundRecord{"greetings", fmt.Sprintf(greeting, request.Name)},
		ValueType: recordType,
	})
	return nil
}

func build(specs ...statefun.StatefulFunctionSpec) statefun.RequestReplyHandler {
	builder := statefun.StatefulFunctionsBuilder()
	for _, spec := range specs {
		if err := builder.WithSpec(spec); err != nil {
			panic(err)
		}
	}
	return builder.AsHandler()
}

func spec(
	typename string, function statefun.StatefulFunctionPointer, states ...statefun.ValueSpec,
) statefun.StatefulFunctionSpec {
	return statefun.StatefulFunctionSpec{
		FunctionType: statefun.TypeNameFrom(typename), States: states, Function: function,
	}
}
