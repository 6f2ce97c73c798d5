package tests

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	statefun "statefun.internal/sdk-go/pkg/flink/statefun"
	"statefun.internal/sdk-go/pkg/flink/statefun/io"
)

var one = statefun.FunctionType{Namespace: "test", Type: "one"}

// Counter counts into a state of any message, and into one of a message that its tag names.
type Counter struct {
	Count  statefun.State `state:"count"`
	Typed  statefun.State `state:"typed" type:"google.protobuf.Int64Value" expireAfterWrite:"90s"`
	Shared *int
	act    func(*Counter, context.Context, statefun.Output, *anypb.Any) error
}

func (c *Counter) Invoke(ctx context.Context, output statefun.Output, msg *anypb.Any) error {
	return c.act(c, ctx, output, msg)
}

func (c *Counter) count() error {
	var count wrapperspb.Int64Value
	if _, err := c.Count.Get(&count); err != nil {
		return err
	}
	count.Value++
	return errors.Join(c.Count.Set(&count), c.Typed.Set(&count))
}

func registryOf(t *testing.T, act func(*Counter, context.Context, statefun.Output, *anypb.Any) error) statefun.FunctionRegistry {
	t.Helper()
	registry := statefun.NewFunctionRegistry()
	if err := registry.RegisterFunction(one, &Counter{act: act, Shared: new(int)}); err != nil {
		t.Fatal(err)
	}
	return registry
}

// requestFor is a request with both states of a Counter; nil is a state without a value.
func requestFor(id string, count, typed []byte) []byte {
	batch, _ := protowire.ConsumeBytes(requestTo("one", id, "text")[2:])
	batch = append([]byte{}, batch...)
	for _, state := range []struct {
		name, typename string
		value          []byte
	}{
		{"count", "type.googleapis.com/google.protobuf.Any", count},
		{"typed", "type.googleapis.com/google.protobuf.Int64Value", typed},
	} {
		part := message(nil, 1, []byte(state.name))
		if state.value != nil {
			held := append(message(nil, 1, []byte(state.typename)), 0x10, 1)
			part = message(part, 2, message(held, 3, state.value))
		}
		batch = message(batch, 2, part)
	}
	return message(nil, 100, batch)
}

func packed(t *testing.T, value proto.Message) []byte {
	t.Helper()
	wrapped, err := anypb.New(value)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := proto.Marshal(wrapped)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

func TestARegistryAsksForTheStatesThatItsTagsName(t *testing.T) {
	registry := registryOf(t, (func(*Counter, context.Context, statefun.Output, *anypb.Any) error)(nil))
	reply, err := registry.Invoke(context.Background(), requestTo("one", "id-1", "text"))
	if err != nil {
		t.Fatal(err)
	}
	expiration := []byte{0x08, 1, 0x10, 0x90, 0xbf, 0x05}
	first := message(message(message(nil, 1, []byte("count")), 2, nil), 3, []byte("type.googleapis.com/google.protobuf.Any"))
	second := message(message(message(nil, 1, []byte("typed")), 2, expiration), 3, []byte("type.googleapis.com/google.protobuf.Int64Value"))
	if wanted := message(nil, 101, message(message(nil, 1, first), 1, second)); string(reply) != string(wanted) {
		t.Errorf("%x, not %x", reply, wanted)
	}
}

func TestARegistryKeepsAndSendsMessagesAsTypedValues(t *testing.T) {
	registry := registryOf(t, func(c *Counter, ctx context.Context, output statefun.Output, msg *anypb.Any) error {
		if msg.TypeUrl != "io.statefun.types/string" || statefun.Self(ctx).String() != "test/one/id-1" || statefun.Caller(ctx) != nil {
			t.Error(msg, statefun.Self(ctx), statefun.Caller(ctx))
		}
		return errors.Join(
			c.count(),
			output.Send(statefun.Address{FunctionType: one, Id: "other"}, wrapperspb.String("sent")),
			output.SendAfter(*statefun.Self(ctx), 1500*time.Millisecond, msg),
		)
	})
	reply, err := registry.Invoke(context.Background(), requestFor("id-1", packed(t, wrapperspb.Int64(41)), nil))
	if err != nil {
		t.Fatal(err)
	}
	value := func(typename string, content []byte) []byte {
		return message(append(message(nil, 1, []byte(typename)), 0x10, 1), 3, content)
	}
	mutation := func(name string, value []byte) []byte {
		return message(message([]byte{0x08, 1}, 2, []byte(name)), 3, value)
	}
	address := func(id string) []byte {
		return message(message(message(nil, 1, []byte("test")), 2, []byte("one")), 3, []byte(id))
	}
	var wanted []byte
	wanted = message(wanted, 1, mutation("count", value("type.googleapis.com/google.protobuf.Any", packed(t, wrapperspb.Int64(42)))))
	wanted = message(wanted, 1, mutation("typed", value("type.googleapis.com/google.protobuf.Int64Value", []byte{0x08, 42})))
	wanted = message(wanted, 2, message(message(nil, 1, address("other")), 2, value("type.googleapis.com/google.protobuf.StringValue", []byte("\x0a\x04sent"))))
	delayed := message([]byte{0x08, 0xdc, 0x0b}, 2, address("id-1"))
	wanted = message(wanted, 3, message(delayed, 3, value("io.statefun.types/string", []byte("\x0a\x04text"))))
	if wanted = message(nil, 100, wanted); string(reply) != string(wanted) {
		t.Errorf("%x\nnot\n%x", reply, wanted)
	}
}

func TestARegistryServesManyAddressesAtOnceEachWithItsOwnState(t *testing.T) {
	var all sync.WaitGroup
	all.Add(20)
	var mutex sync.Mutex
	registry := registryOf(t, func(c *Counter, ctx context.Context, _ statefun.Output, _ *anypb.Any) error {
		all.Done()
		// Nobody goes on before all are here, so that all states are in use at once.
		all.Wait()
		mutex.Lock()
		*c.Shared++
		mutex.Unlock()
		return c.count()
	})
	var requests [][]byte
	for i := range 20 {
		requests = append(requests, requestFor("id", packed(t, wrapperspb.Int64(int64(i))), nil))
	}
	found := readOutcomes(t, post(registry, bundle, bundleOf(requests...)).Body.Bytes())
	for i := range 20 {
		if wanted := packed(t, wrapperspb.Int64(int64(i+1))); !strings.Contains(string(found[i].reply), string(wanted)) {
			t.Errorf("%d: %x", i, found[i].reply)
		}
	}
}

func TestAStateOfARegistryIsClearedAndMissing(t *testing.T) {
	registry := registryOf(t, func(c *Counter, _ context.Context, _ statefun.Output, _ *anypb.Any) error {
		var value wrapperspb.Int64Value
		if exists, err := c.Typed.Get(&value); !exists || err != nil || value.Value != 7 {
			t.Error(exists, err)
		}
		var raw anypb.Any
		if exists, err := c.Typed.Get(&raw); !exists || err != nil || raw.MessageName() != "google.protobuf.Int64Value" {
			t.Error(exists, err)
		}
		if exists, err := c.Count.Get(&value); exists || err != nil {
			t.Error(exists, err)
		}
		c.Typed.Clear()
		if exists, err := c.Typed.Get(&value); exists || err != nil {
			t.Error(exists, err)
		}
		if err := c.Typed.Set(wrapperspb.String("x")); err == nil || err.Error() != "state typed cannot be set to a value of type.googleapis.com/google.protobuf.StringValue: it is registered with type.googleapis.com/google.protobuf.Int64Value" {
			t.Error(err)
		}
		if err := c.Count.Set(nil); err == nil || err.Error() != "state count cannot be set: it is nil" {
			t.Error(err)
		}
		return nil
	})
	reply, err := registry.Invoke(context.Background(), requestFor("id", nil, []byte{0x08, 7}))
	if wanted := message(nil, 100, message(nil, 1, message(nil, 2, []byte("typed")))); err != nil || string(reply) != string(wanted) {
		t.Errorf("%x, %v", reply, err)
	}
}

type plain struct{}

func (plain) Invoke(context.Context, statefun.Output, *anypb.Any) error { return nil }

type untagged struct {
	plain
	Count statefun.State
}

type hidden struct {
	plain
	count statefun.State `state:"count"`
}

type twice struct {
	plain
	A statefun.State `state:"a"`
	B statefun.State `state:"a"`
}

type locked struct {
	plain
	mutex sync.Mutex
	A     statefun.State `state:"a"`
}

type never struct {
	plain
	A statefun.State `state:"a" expireAfterInvoke:"soon"`
}

type both struct {
	plain
	A statefun.State `state:"a" expireAfterInvoke:"1s" expireAfterWrite:"1s"`
}

func TestAFunctionThatCannotBeRightIsNotRegistered(t *testing.T) {
	const at = "function test/one cannot be registered: "
	_ = (&hidden{}).count
	for wanted, function := range map[string]statefun.StatefulFunction{
		at + "the function is nil": nil,
		at + "it has State fields, which can only be set in a pointer: register &twoStates{}":     twoStates{},
		at + "field Count needs the tag `state:\"name\"`, and a name of letters, digits, _ and -": &untagged{},
		at + "field count cannot be set; its name must begin with an upper-case letter":           &hidden{},
		at + "state a is there twice": &twice{},
		at + "each batch gets a copy of the struct, and field mutex has a lock, which cannot be copied; make it a pointer": &locked{},
		at + `field A: expireAfterInvoke:"soon" is not a duration of a millisecond or more, like 30m`:                      &never{},
		at + "field A has two tags that say when it expires; at most one is right":                                         &both{},
	} {
		if err := statefun.NewFunctionRegistry().RegisterFunction(one, function); err == nil || err.Error() != wanted {
			t.Errorf("%v\nnot\n%s", err, wanted)
		}
	}
	registry := statefun.NewFunctionRegistry()
	if err := registry.RegisterFunction(one, plain{}); err != nil {
		t.Error(err)
	}
	if err := registry.RegisterFunction(one, plain{}); err == nil || err.Error() != at+"it is there already" {
		t.Error(err)
	}
	if err := registry.RegisterFunction(statefun.FunctionType{}, plain{}); err == nil || err.Error() != `function type "/" is not of the form namespace/type` {
		t.Error(err)
	}
}

type twoStates struct {
	plain
	A statefun.State `state:"a"`
	B statefun.State `state:"b"`
}

func TestWhatARegistrySendsIsChecked(t *testing.T) {
	var sent []error
	registry := registryOf(t, func(_ *Counter, ctx context.Context, output statefun.Output, _ *anypb.Any) error {
		self := *statefun.Self(ctx)
		sent = []error{
			output.Send(statefun.Address{FunctionType: one}, wrapperspb.String("x")),
			output.Send(self, nil),
			output.Send(self, &anypb.Any{TypeUrl: "x"}),
			output.SendAfter(self, -1, wrapperspb.String("x")),
			output.SendEgress(io.EgressIdentifier{}, wrapperspb.String("x")),
			output.SendEgress(io.EgressIdentifier{EgressNamespace: "a", EgressType: "b"}, nil),
		}
		return nil
	})
	if _, err := registry.Invoke(context.Background(), requestFor("id", nil, nil)); err != nil {
		t.Fatal(err)
	}
	for i, wanted := range []string{
		`a message needs a target with namespace, type and id; it is "test/one/"`,
		"the message to test/one/id: it is nil",
		`the message to test/one/id: its type URL "x" is not of the form namespace/type`,
		"the delay of the message to test/one/id is negative: -1ns",
		`an egress has a namespace and a type; it is "/"`,
		"the record to a/b: it is nil",
	} {
		if sent[i] == nil || sent[i].Error() != wanted {
			t.Errorf("%v, not %s", sent[i], wanted)
		}
	}
}

func TestAnInvocationOfARegistryEndsItsContextAndItsOutput(t *testing.T) {
	var kept context.Context
	var sending statefun.Output
	registry := registryOf(t, func(_ *Counter, ctx context.Context, output statefun.Output, _ *anypb.Any) error {
		kept, sending = ctx, output
		return ctx.Err()
	})
	if _, err := registry.Invoke(context.Background(), requestFor("id", nil, nil)); err != nil {
		t.Fatal(err)
	}
	if kept.Err() != context.Canceled {
		t.Error(kept.Err())
	}
	err := sending.Send(*statefun.Self(kept), wrapperspb.String("late"))
	if err == nil || err.Error() != "the batch is over; a goroutine that sends must end before Invoke does" {
		t.Error(err)
	}
}

func TestAStateOfAnotherTypeIsNotRead(t *testing.T) {
	registry := registryOf(t, func(c *Counter, _ context.Context, _ statefun.Output, _ *anypb.Any) error {
		_, err := c.Typed.Get(&wrapperspb.Int64Value{})
		return err
	})
	request := requestFor("id", nil, []byte{0x08, 7})
	request = []byte(strings.Replace(string(request), "google.protobuf.Int64Value", "google.protobuf.Int32Value", 1))
	_, err := registry.Invoke(context.Background(), request)
	if err == nil || err.Error() != "state typed holds a value of type.googleapis.com/google.protobuf.Int32Value, and is registered with type.googleapis.com/google.protobuf.Int64Value" {
		t.Error(err)
	}
}

func TestRecordsOfARegistryAreThoseThatEgressesTake(t *testing.T) {
	kafka := io.KafkaRecord{Topic: "t", Key: "k", Value: wrapperspb.String("v")}
	kinesis := io.KinesisRecord{Stream: "s", PartitionKey: "p", ExplicitHashKey: "h", Bytes: []byte("v")}
	first, err := kafka.ToMessage()
	second, err2 := kinesis.ToMessage()
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	content := message(message(message(nil, 1, []byte("k")), 2, packed(t, wrapperspb.String("v"))), 3, []byte("t"))
	if got := first.(*anypb.Any); got.TypeUrl != "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord" || string(got.Value) != string(content) {
		t.Error(got)
	}
	content = message(message(message(message(nil, 1, []byte("p")), 2, []byte("v")), 3, []byte("s")), 4, []byte("h"))
	if got := second.(*anypb.Any); got.TypeUrl != "type.googleapis.com/io.statefun.sdk.egress.KinesisEgressRecord" || string(got.Value) != string(content) {
		t.Error(got)
	}
	for wanted, record := range map[string]interface{ ToMessage() (proto.Message, error) }{
		"a Kafka record needs a Topic":                              &io.KafkaRecord{},
		"a Kinesis record needs a Stream and a PartitionKey":        &io.KinesisRecord{Stream: "s"},
		"the Kafka record for topic t: it has both Value and Bytes": &io.KafkaRecord{Topic: "t", Value: wrapperspb.String("v"), Bytes: []byte("v")},
		"the Kafka record for topic t: not valid UTF-8: \"\\xff\"":  &io.KafkaRecord{Topic: "t", Key: "\xff"},
	} {
		if _, err := record.ToMessage(); err == nil || err.Error() != wanted {
			t.Errorf("%v, not %s", err, wanted)
		}
	}
}

func TestARegistryTellsOfTypesThatNobodyRegistered(t *testing.T) {
	answer := post(statefun.NewFunctionRegistry(), "", requestTo("one", "id", "text"))
	if answer.Code != http.StatusNotFound || answer.Body.String() != "function type test/one is not registered here\n" {
		t.Error(answer.Code, answer.Body)
	}
}
