package tests

import (
	"context"
	"encoding/hex"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"statefun.internal/sdk-go/pkg/statefun"
)

// run invokes a function with one message, and returns the answer.
func run(function statefun.StatefulFunctionPointer, states ...statefun.ValueSpec) *httptest.ResponseRecorder {
	request := requestTo("one", "id-1", "text")
	if len(states) > 0 {
		panic("states need values")
	}
	return post(build(spec("test/one", function)), "application/octet-stream", request)
}

// failsWith runs a function, and checks what its answer tells.
func failsWith(t *testing.T, wanted string, function func(statefun.Context, statefun.Message)) {
	t.Helper()
	answer := run(func(ctx statefun.Context, message statefun.Message) error {
		function(ctx, message)
		return nil
	})
	if text := strings.TrimSpace(answer.Body.String()); answer.Code != 500 || text != wanted {
		t.Errorf("%d %q, not %q", answer.Code, text, wanted)
	}
}

func TestWhatCannotBeSentIsRefusedWhereItIsSent(t *testing.T) {
	target := statefun.Address{FunctionType: statefun.TypeNameFrom("a/b"), Id: "c"}
	for wanted, message := range map[string]statefun.MessageBuilder{
		"a message needs a target with a function type and an id; it is Address(a, b, )":                     {Target: statefun.Address{FunctionType: target.FunctionType}, Value: "x"},
		"the message to a/b/c: the value is nil":                                                             {Target: target, ValueType: statefun.StringType},
		"the message to a/b/c: an int may be an int32 or an int64; make it one of them":                      {Target: target, Value: 1},
		"the message to a/b/c: a value of type []int needs a ValueType":                                      {Target: target, Value: []int{}},
		"the message to a/b/c: a value of io.statefun.types/int has the Go type int32, and this is of int64": {Target: target, Value: int64(1), ValueType: statefun.Int32Type},
		"the message to a/b/c: the value is a nil *bool":                                                     {Target: target, Value: (*bool)(nil)},
		"the message to a/b/c: a value of io.statefun.types/string is not valid UTF-8: \"\\xff\"":            {Target: target, Value: "\xff"},
		"the target of a message is not valid UTF-8: \"\\xff\"":                                              {Target: statefun.Address{FunctionType: target.FunctionType, Id: "\xff"}, Value: "x"},
	} {
		failsWith(t, wanted, func(ctx statefun.Context, _ statefun.Message) { ctx.Send(message) })
		failsWith(t, wanted, func(ctx statefun.Context, _ statefun.Message) { ctx.SendAfter(0, message) })
	}
	good := statefun.MessageBuilder{Target: target, Value: "x"}
	failsWith(t, "the delay of the message to a/b/c is negative: -1ns", func(ctx statefun.Context, _ statefun.Message) {
		ctx.SendAfter(-1, good)
	})
	failsWith(t, "a cancellation token is nil or empty; make one with NewCancellationToken", func(ctx statefun.Context, _ statefun.Message) {
		ctx.SendAfterWithCancellationToken(0, nil, good)
	})
	failsWith(t, "a cancellation token is nil or empty; make one with NewCancellationToken", func(ctx statefun.Context, _ statefun.Message) {
		ctx.CancelDelayedMessage(nil)
	})
}

func TestRecordsThatCannotBeSentAreRefused(t *testing.T) {
	to, minus := statefun.TypeNameFrom("a/b"), int32(-1)
	for wanted, record := range map[string]statefun.EgressBuilder{
		"SendEgress needs a record; it is nil":                                             nil,
		"a Kafka record needs a Target, the typename of its egress":                        statefun.KafkaEgressBuilder{},
		"the Kafka record to a/b needs a Topic":                                            statefun.KafkaEgressBuilder{Target: to},
		"the Kafka record to a/b: the value is nil":                                        statefun.KafkaEgressBuilder{Target: to, Topic: "t"},
		"the Kafka record to a/b: an int may be an int32 or an int64; make it one of them": statefun.KafkaEgressBuilder{Target: to, Topic: "t", Value: 1},
		"the Kafka record to a/b: a value of type bool needs a ValueType":                  statefun.KafkaEgressBuilder{Target: to, Topic: "t", Value: true},
		"the topic or key of a Kafka record is not valid UTF-8: \"\\xff\"":                 statefun.KafkaEgressBuilder{Target: to, Topic: "t", Key: "\xff", Value: "v"},
		"the Kafka record to a/b: its Partition is negative: -1":                           statefun.KafkaEgressBuilder{Target: to, Topic: "t", Value: "v", Options: &statefun.RecordOptions{Partition: &minus}},
		"a Kinesis record needs a Target, the typename of its egress":                      statefun.KinesisEgressBuilder{},
		"the Kinesis record to a/b needs a Stream":                                         statefun.KinesisEgressBuilder{Target: to},
		"the Kinesis record to a/b needs a PartitionKey":                                   statefun.KinesisEgressBuilder{Target: to, Stream: "s"},
		"the Kinesis record to a/b: a value of type int32 needs a ValueType":               statefun.KinesisEgressBuilder{Target: to, Stream: "s", PartitionKey: "p", Value: int32(1)},
		"a record needs a Target, the typename of its egress":                              statefun.GenericEgressBuilder{},
		"the record to a/b needs a ValueType":                                              statefun.GenericEgressBuilder{Target: to, Value: "v"},
		"the record to a/b: the value is nil":                                              statefun.GenericEgressBuilder{Target: to, ValueType: statefun.StringType},
	} {
		failsWith(t, wanted, func(ctx statefun.Context, _ statefun.Message) { ctx.SendEgress(record) })
	}
}

func TestAMessageIsReadAsWhatItIs(t *testing.T) {
	failsWith(t, "the message is a io.statefun.types/string, not a io.statefun.types/int", func(_ statefun.Context, message statefun.Message) {
		message.AsInt32()
	})
	answer := run(func(_ statefun.Context, message statefun.Message) error {
		var number int32
		if err := message.As(statefun.Int32Type, &number); err == nil {
			t.Error("a text was read as a number")
		}
		var text string
		if err := message.As(statefun.StringType, &text); err != nil || text != "text" {
			t.Error(text, err)
		}
		if err := message.As(statefun.StringType, text); err == nil || err.Error() != "a value of io.statefun.types/string is read into a *string, not into a string" {
			t.Error(err)
		}
		if err := message.As(kitchenJson, text); err == nil || err.Error() != "a value is read into a pointer, not into a string" {
			t.Error(err)
		}
		if !message.Is(statefun.StringType) || message.ValueTypeName() != statefun.StringType.GetTypeName() {
			t.Error(message.ValueTypeName())
		}
		return nil
	})
	if answer.Code != http.StatusOK {
		t.Error(answer.Body)
	}
}

func TestADelayIsNeverShorterThanItWasAskedFor(t *testing.T) {
	for delay, wanted := range map[time.Duration]string{
		0: "", 1: "0801", time.Millisecond: "0801", time.Millisecond + 1: "0802", 1500 * time.Millisecond: "08dc0b",
		math.MaxInt64: "08f7b5c1deb78c02",
	} {
		answer := run(func(ctx statefun.Context, _ statefun.Message) error {
			ctx.SendAfter(delay, statefun.MessageBuilder{Target: ctx.Self(), Value: ""})
			return nil
		})
		found := hex.EncodeToString(answer.Body.Bytes())
		if !strings.Contains(found, wanted+"12110a0474657374") {
			t.Errorf("%v: %s", delay, found)
		}
	}
}

func TestTheContextEndsWithItsInvocation(t *testing.T) {
	var kept, derived statefun.Context
	var early <-chan struct{}
	answer := run(func(ctx statefun.Context, _ statefun.Message) error {
		kept, early = ctx, ctx.Done()
		inner, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		derived = statefun.DeriveContext(ctx, context.WithValue(inner, "key", "value"))
		derived.Send(statefun.MessageBuilder{Target: derived.Self(), Value: "sent"})
		if _, ok := derived.Deadline(); !ok || derived.Value("key") != "value" || ctx.Value("key") != nil || ctx.Err() != nil {
			t.Error("the derived context is another")
		}
		return nil
	})
	<-early
	<-kept.Done()
	<-derived.Done()
	if kept.Err() != context.Canceled {
		t.Error(kept.Err())
	}
	if !strings.Contains(answer.Body.String(), "sent") {
		t.Errorf("%x", answer.Body)
	}
}

func TestWhatComesAfterInvokeIsDroppedAndTold(t *testing.T) {
	state := statefun.ValueSpec{Name: "s", ValueType: statefun.Int32Type}
	for wanted, late := range map[string]func(statefun.Context){
		"a message": func(ctx statefun.Context) { ctx.Send(statefun.MessageBuilder{Target: ctx.Self(), Value: "late"}) },
		"a cancellation": func(ctx statefun.Context) {
			token, _ := statefun.NewCancellationToken("t")
			ctx.CancelDelayedMessage(token)
		},
		"a record":            func(ctx statefun.Context) { ctx.SendEgress(kafka) },
		"a change of state s": func(ctx statefun.Context) { ctx.Storage().Set(state, int32(1)) },
	} {
		var kept statefun.Context
		handler := build(spec("test/one", func(ctx statefun.Context, _ statefun.Message) error {
			kept = ctx
			return nil
		}, state))
		post(handler, "", withState("s", "io.statefun.types/int", []byte{}))
		told := logged(func() {
			late(kept)
			late(kept)
		})
		wanted = "test/one: " + wanted + " was dropped, because Invoke had returned; a goroutine that has effects must end before Invoke does\n"
		if told != wanted {
			t.Errorf("told %q, not %q", told, wanted)
		}
	}
}

func TestWhatAFunctionAppendsToItsMessageDoesNotReachTheNext(t *testing.T) {
	var texts []string
	handler := build(spec("test/one", func(_ statefun.Context, message statefun.Message) error {
		texts = append(texts, message.AsString())
		_ = append(message.RawValue(), make([]byte, 100)...)
		return nil
	}))
	request := requestTo("one", "id-1", "text")
	answer := post(handler, "", append(append([]byte{}, request...), request...))
	if answer.Code != http.StatusOK || strings.Join(texts, " ") != "text text" {
		t.Error(answer.Body, texts)
	}
}

func TestAContextThatWasNotAskedBeforeItsEndHasEnded(t *testing.T) {
	var kept statefun.Context
	run(func(ctx statefun.Context, _ statefun.Message) error {
		kept = ctx
		return nil
	})
	if kept.Err() != context.Canceled {
		t.Error(kept.Err())
	}
	<-kept.Done()
}

func TestManyGoroutinesMayUseOneContext(t *testing.T) {
	answer := run(func(ctx statefun.Context, _ statefun.Message) error {
		var group sync.WaitGroup
		for range 50 {
			group.Add(1)
			go func() {
				defer group.Done()
				ctx.Send(statefun.MessageBuilder{Target: ctx.Self(), Value: "sent"})
				_ = ctx.Err()
				<-time.After(time.Microsecond)
				select {
				case <-ctx.Done():
					t.Error("it has ended")
				default:
				}
			}()
		}
		group.Wait()
		return nil
	})
	if got := strings.Count(answer.Body.String(), "sent"); got != 50 {
		t.Errorf("%d messages", got)
	}
}

func TestARuntimeThatIsGoneEndsABatchBetweenItsMessages(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	count := 0
	handler := build(spec("test/one", func(statefun.Context, statefun.Message) error {
		count++
		cancel()
		return nil
	}))
	request := requestTo("one", "id-1", "text")
	twice := append(append([]byte{}, request...), request...)
	if _, err := handler.Invoke(ctx, twice); err != context.Canceled || count != 1 {
		t.Error(count, err)
	}
}

func TestASpecThatCannotBeRightIsRefused(t *testing.T) {
	typename, state := statefun.TypeNameFrom("a/b"), statefun.ValueSpec{Name: "s", ValueType: statefun.BoolType}
	noop := statefun.StatefulFunctionPointer(func(statefun.Context, statefun.Message) error { return nil })
	short := state
	short.Expiration = statefun.ExpireAfterCall(time.Microsecond)
	with := func(states ...statefun.ValueSpec) statefun.StatefulFunctionSpec {
		return statefun.StatefulFunctionSpec{FunctionType: typename, Function: noop, States: states}
	}
	for wanted, spec := range map[string]statefun.StatefulFunctionSpec{
		"a function needs a FunctionType":        {Function: noop},
		"function a/b: its Function is nil":      {FunctionType: typename},
		"function a/b: state s is there twice":   with(state, state),
		"function a/b: state s has no ValueType": with(statefun.ValueSpec{Name: "s"}),
		`function a/b: state name "1s" does not begin with a letter or an underscore and go on with letters, digits and underscores`: with(statefun.ValueSpec{Name: "1s", ValueType: statefun.BoolType}),
		"function a/b: state s expires after 1µs; the shortest time is a millisecond, and zero is never":                             with(short),
	} {
		if err := statefun.StatefulFunctionsBuilder().WithSpec(spec); err == nil || err.Error() != wanted {
			t.Errorf("%v, not %s", err, wanted)
		}
	}
	builder := statefun.StatefulFunctionsBuilder()
	if err := builder.WithSpec(with(state)); err != nil {
		t.Error(err)
	}
	if err := builder.WithSpec(with()); err == nil || err.Error() != "function type a/b is registered already" {
		t.Error(err)
	}
}

func TestAFunctionMayBeAddedToAHandlerThatServes(t *testing.T) {
	builder := statefun.StatefulFunctionsBuilder()
	handler := builder.AsHandler()
	request := requestTo("one", "id-1", "text")
	answer := post(handler, "application/octet-stream", request)
	if text := answer.Body.String(); answer.Code != 404 || text != "function type test/one is not registered here; registered: none\n" {
		t.Error(answer.Code, text)
	}
	if err := builder.WithSpec(spec("test/one", fail)); err != nil {
		t.Fatal(err)
	}
	if answer := post(handler, "application/octet-stream", request); answer.Code != 500 {
		t.Error(answer.Code)
	}
}

func TestRequestsThatAreNoneAreRefused(t *testing.T) {
	handler := build(spec("test/one", count))
	limited := http.MaxBytesHandler(handler, 10)
	for _, one := range []struct {
		handler       http.Handler
		method, media string
		body          string
		status        int
	}{
		{handler, "GET", "", "", 405},
		{handler, "PUT", "application/octet-stream", "x", 405},
		{handler, "POST", "application/json", "x", 415},
		{handler, "POST", "application/octet-stream", "", 400},
		{handler, "POST", "application/vnd.statefun.bundle", "", 400},
		{handler, "POST", "application/octet-stream; a=b", "\xff", 500},
		{handler, "POST", "Application/Octet-Stream", "\xff", 500},
		{handler, "POST", "", "\xff", 500},
		{limited, "POST", "", strings.Repeat("x", 11), 413},
		{limited, "POST", "application/vnd.statefun.bundle", strings.Repeat("x", 11), 413},
	} {
		request := httptest.NewRequest(one.method, "/", strings.NewReader(one.body))
		request.Header.Set("Content-Type", one.media)
		answer := httptest.NewRecorder()
		one.handler.ServeHTTP(answer, request)
		if answer.Code != one.status {
			t.Errorf("%s %s %q: %d, not %d", one.method, one.media, one.body, answer.Code, one.status)
		}
	}
}

func TestAProtobufMessageIsAType(t *testing.T) {
	tpe := statefun.MakeProtobufType(&wrapperspb.StringValue{})
	if name := tpe.GetTypeName().String(); name != "type.googleapis.com/google.protobuf.StringValue" {
		t.Error(name)
	}
	message, err := statefun.MessageBuilder{Target: other, Value: wrapperspb.String("x"), ValueType: tpe}.ToMessage()
	if err != nil {
		t.Fatal(err)
	}
	var value wrapperspb.StringValue
	if err := message.As(tpe, &value); err != nil || value.Value != "x" {
		t.Error(err)
	}
	if err := message.As(tpe, new(string)); err == nil {
		t.Error("read into a string")
	}
}
