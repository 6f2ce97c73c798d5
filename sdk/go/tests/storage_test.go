package tests

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"statefun.internal/sdk-go/pkg/statefun"
)

func message(to []byte, number protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, number, protowire.BytesType), content)
}

// withState is a request with one state; a nil value is a state that the runtime knows and that has none.
func withState(name, typename string, value []byte) []byte {
	batch, _ := protowire.ConsumeBytes(requestTo("one", "id-1", "text")[2:])
	state := message(nil, 1, []byte(name))
	if value != nil {
		held := append(message(nil, 1, []byte(typename)), 0x10, 1)
		state = message(state, 2, message(held, 3, value))
	}
	return message(nil, 100, message(append([]byte{}, batch...), 2, state))
}

func inState(
	t *testing.T, state statefun.ValueSpec, value []byte, function func(statefun.AddressScopedStorage),
) string {
	t.Helper()
	handler := build(spec("test/one", func(ctx statefun.Context, _ statefun.Message) error {
		function(ctx.Storage())
		return nil
	}, state))
	answer := post(handler, "application/octet-stream", withState(state.Name, state.ValueType.GetTypeName().String(), value))
	return strings.TrimSpace(answer.Body.String())
}

func TestEveryPrimitiveIsReadAsItWasWritten(t *testing.T) {
	yes, number, long, short, double, text := true, int32(-7), int64(1)<<40, float32(1.5), -2.25, "é"
	for _, one := range []struct {
		tpe          statefun.SimpleType
		value, again interface{}
	}{
		{statefun.BoolType, &yes, new(bool)}, {statefun.BoolType, new(bool), &yes},
		{statefun.Int32Type, &number, new(int32)}, {statefun.Int32Type, new(int32), &number},
		{statefun.Int64Type, &long, new(int64)}, {statefun.Float32Type, &short, new(float32)},
		{statefun.Float64Type, &double, new(float64)}, {statefun.StringType, &text, new(string)},
		{statefun.StringType, new(string), &text},
	} {
		state := statefun.ValueSpec{Name: "s", ValueType: one.tpe}
		inState(t, state, nil, func(storage statefun.AddressScopedStorage) {
			if storage.Get(state, one.again) {
				t.Errorf("%v: there was nothing", one.tpe)
			}
			storage.Set(state, one.value)
			if !storage.Get(state, one.again) {
				t.Errorf("%v: nothing is there", one.tpe)
			}
			var written, read strings.Builder
			if one.tpe.Serialize(&written, one.value) != nil || one.tpe.Serialize(&read, one.again) != nil {
				t.Errorf("%v cannot be written", one.tpe)
			}
			if written.String() != read.String() {
				t.Errorf("%v: %q, not %q", one.tpe, read.String(), written.String())
			}
			storage.Remove(state)
			if storage.Get(state, one.again) {
				t.Errorf("%v was removed", one.tpe)
			}
		})
	}
}

func TestAStateIsUsedAsItWasRegistered(t *testing.T) {
	state := statefun.ValueSpec{Name: "s", ValueType: statefun.Int32Type}
	another := statefun.ValueSpec{Name: "s", ValueType: statefun.StringType}
	unknown := statefun.ValueSpec{Name: "u", ValueType: statefun.Int32Type}
	var number int32
	for wanted, use := range map[string]func(statefun.AddressScopedStorage){
		"state u cannot be read: function test/one did not register it":    func(s statefun.AddressScopedStorage) { s.Get(unknown, &number) },
		"state u cannot be set: function test/one did not register it":     func(s statefun.AddressScopedStorage) { s.Set(unknown, number) },
		"state u cannot be removed: function test/one did not register it": func(s statefun.AddressScopedStorage) { s.Remove(unknown) },
		"state s cannot be read as io.statefun.types/string: it is registered with io.statefun.types/int": func(s statefun.AddressScopedStorage) {
			s.Get(another, new(string))
		},
		"state s cannot be set as io.statefun.types/string: it is registered with io.statefun.types/int": func(s statefun.AddressScopedStorage) {
			s.Set(another, "x")
		},
		"state s cannot be set to nil; use Remove to delete it": func(s statefun.AddressScopedStorage) { s.Set(state, nil) },
		"state s cannot be set: a value of io.statefun.types/int has the Go type int32, and this is of int": func(s statefun.AddressScopedStorage) {
			s.Set(state, 1)
		},
		"state s cannot be read: a value of io.statefun.types/int is read into a *int32, not into a *int64": func(s statefun.AddressScopedStorage) {
			s.Get(state, new(int64))
		},
	} {
		if text := inState(t, state, []byte{0x0d, 1, 0, 0, 0}, use); text != wanted {
			t.Errorf("%q, not %q", text, wanted)
		}
	}
	for wanted, value := range map[string][]byte{
		"state s cannot be read: the bytes are no value of io.statefun.types/int: unexpected EOF":                {0x0d, 1},
		"state s cannot be read: the bytes are no value of io.statefun.types/int: its field has the wire type 2": {0x0a, 1, 'x'},
	} {
		text := inState(t, state, value, func(s statefun.AddressScopedStorage) { s.Get(state, &number) })
		if text != wanted {
			t.Errorf("%q, not %q", text, wanted)
		}
	}
}

func TestUnknownFieldsOfAPrimitiveArePassedOver(t *testing.T) {
	state := statefun.ValueSpec{Name: "s", ValueType: statefun.Int32Type}
	var number int32
	value := []byte{0x78, 5, 0x0d, 1, 0, 0, 0, 0x0d, 2, 0, 0, 0, 0x12, 1, 'x'}
	inState(t, state, value, func(s statefun.AddressScopedStorage) { s.Get(state, &number) })
	if number != 2 {
		t.Errorf("%d: the last one counts", number)
	}
}

func TestAStateThatIsThereTwiceDoesNotHideThatAnotherIsMissing(t *testing.T) {
	first := statefun.ValueSpec{Name: "s", ValueType: statefun.Int32Type}
	second := statefun.ValueSpec{Name: "t", ValueType: statefun.Int32Type}
	handler := build(spec("test/one", count, first, second))
	request := withState("s", "io.statefun.types/int", []byte{})
	reply := post(handler, "", append(append([]byte{}, request...), request...)).Body.Bytes()
	missing := message(message(message(nil, 1, []byte("t")), 2, nil), 3, []byte("io.statefun.types/int"))
	if wanted := message(nil, 101, message(nil, 1, missing)); string(reply) != string(wanted) {
		t.Errorf("%x, not %x", reply, wanted)
	}
}

func TestWhatARecordHasBesidesKeyAndValue(t *testing.T) {
	header := message(message(nil, 1, []byte("k")), 3, []byte("v"))
	metadata := message(nil, 1, []byte("topic"))
	metadata = append(metadata, 0x10, 2, 0x18, 3, 0x20, 4)
	metadata = message(message(metadata, 5, append(header, 0x10, 1)), 5, message(nil, 1, []byte("none")))
	invocation := message(message(nil, 2, message(nil, 1, []byte("a/b"))), 1000, metadata)
	plain, _ := protowire.ConsumeBytes(requestTo("one", "id-1", "text")[2:])
	request := message(nil, 100, message(append([]byte{}, plain...), 3, invocation))
	var found []*statefun.RecordMetadata
	answer := post(build(spec("test/one", func(ctx statefun.Context, _ statefun.Message) error {
		found = append(found, statefun.RecordOf(ctx))
		partition := int32(0)
		ctx.SendEgress(statefun.KafkaEgressBuilder{
			Target: kafka.Target, Topic: "t", Value: "", Options: &statefun.RecordOptions{
				Headers: []statefun.RecordHeader{{Key: "k", Value: []byte{}}, {Key: "none"}}, Partition: &partition,
			},
		})
		return nil
	})), "application/octet-stream", request)
	if len(found) != 2 || found[0] != nil {
		t.Fatalf("%v: %s", found, answer.Body)
	}
	one := found[1]
	if one.Topic != "topic" || one.Partition != 2 || one.Offset != 3 || one.Timestamp.UnixMilli() != 4 || len(one.Headers) != 2 {
		t.Errorf("%+v", one)
	}
	if string(one.Headers[0].Value) != "v" || one.Headers[1].Value != nil {
		t.Errorf("%+v", one.Headers)
	}
	options := message(nil, 1, append(message(nil, 1, []byte("k")), 0x10, 1))
	options = append(message(options, 1, message(nil, 1, []byte("none"))), 0x18, 1)
	if !strings.Contains(answer.Body.String(), string(message(nil, 1000, options))) {
		t.Errorf("%x", answer.Body)
	}
}
