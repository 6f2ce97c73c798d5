package wire

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// The messages of protos/, for protobuf's own code to read them: "name number type", a star for many.
var schema = map[string]string{
	"Address":    "namespace 1 string, type 2 string, id 3 string",
	"TypedValue": "typename 1 string, has_value 2 bool, value 3 bytes",
	"State":      "name 1 string, value 2 TypedValue",
	"Invocation": "caller 1 Address, argument 2 TypedValue, record 1000 bytes",
	"Batch":      "target 1 Address, state 2 *State, invocations 3 *Invocation",
	"ToFunction": "invocation 100 Batch",

	"Mutation":     "type 1 int32, name 2 string, value 3 TypedValue",
	"Message":      "target 1 Address, argument 2 TypedValue",
	"Delayed":      "delay 1 int64, target 2 Address, argument 3 TypedValue, cancel 10 bool, token 11 string",
	"Egress":       "namespace 1 string, type 2 string, argument 3 TypedValue",
	"Result":       "mutations 1 *Mutation, messages 2 *Message, delayed 3 *Delayed, egresses 4 *Egress",
	"Expiration":   "mode 1 int32, after 2 int64",
	"Spec":         "name 1 string, expiration 2 Expiration, typename 3 string",
	"Missing":      "specs 1 *Spec",
	"FromFunction": "result 100 Result, missing 101 Missing",

	"Failure": "status 1 uint32, text 2 string",
	"Outcome": "index 1 uint32, reply 2 FromFunction, failure 3 Failure",

	"Header":   "key 1 string, has_value 2 bool, value 3 bytes",
	"Metadata": "topic 1 string, partition 2 int32, offset 3 int64, timestamp 4 int64, headers 5 *Header",
	"Options":  "headers 1 *Header, timestamp 2 int64, has_partition 3 bool, partition 4 int32",
	"Record":   "key 1 string, value 2 bytes, topic 3 string, options 1000 Options",
}

func reference(t testing.TB) map[string]protoreflect.MessageDescriptor {
	t.Helper()
	file := &descriptorpb.FileDescriptorProto{
		Name: proto.String("reference.proto"), Package: proto.String("reference"), Syntax: proto.String("proto3"),
	}
	for name, fields := range schema {
		message := &descriptorpb.DescriptorProto{Name: proto.String(name)}
		for _, line := range strings.Split(fields, ", ") {
			message.Field = append(message.Field, fieldOf(t, line))
		}
		file.MessageType = append(file.MessageType, message)
	}
	built, err := protodesc.NewFile(file, new(protoregistry.Files))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]protoreflect.MessageDescriptor{}
	for i := range built.Messages().Len() {
		found[string(built.Messages().Get(i).Name())] = built.Messages().Get(i)
	}
	return found
}

func fieldOf(t testing.TB, line string) *descriptorpb.FieldDescriptorProto {
	t.Helper()
	var name, kind string
	var number int32
	if _, err := fmt.Sscan(line, &name, &number, &kind); err != nil {
		t.Fatal(err)
	}
	field := &descriptorpb.FieldDescriptorProto{
		Name: &name, Number: &number, Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
	}
	if strings.HasPrefix(kind, "*") {
		kind = kind[1:]
		field.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
	}
	if _, isMessage := schema[kind]; isMessage {
		field.TypeName = proto.String(".reference." + kind)
	} else {
		number := descriptorpb.FieldDescriptorProto_Type_value["TYPE_"+strings.ToUpper(kind)]
		field.Type = descriptorpb.FieldDescriptorProto_Type(number).Enum()
	}
	return field
}

func get(m protoreflect.Message, name string) protoreflect.Value {
	return m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(name)))
}

func has(m protoreflect.Message, name string) bool {
	return m.Has(m.Descriptor().Fields().ByName(protoreflect.Name(name)))
}

func addressIn(m protoreflect.Message) Address {
	return Address{get(m, "namespace").String(), get(m, "type").String(), get(m, "id").String()}
}

func valueIn(m protoreflect.Message) string {
	return fmt.Sprintf("%s %v %x", get(m, "typename"), get(m, "has_value"), get(m, "value").Bytes())
}

func told(v Value) string { return fmt.Sprintf("%s %v %x", v.Typename, v.HasValue, v.Bytes) }

// What protobuf's own code reads, this reads, and the same; what that refuses, this refuses.
func FuzzRequestsReadAsProtobufReadsThem(f *testing.F) {
	for _, seed := range seeds(f, "golden_cases.tsv", 4) {
		f.Add(seed)
	}
	descriptor := reference(f)["ToFunction"]
	f.Fuzz(func(t *testing.T, request []byte) {
		wanted := dynamicpb.NewMessage(descriptor)
		refused := proto.Unmarshal(request, wanted)
		batch, err := ParseToFunction(request, Names{"example": "example", "conf": "conf"})
		if refused != nil || !has(wanted, "invocation") {
			if err == nil {
				t.Errorf("protobuf refuses it: %v", refused)
			}
			return
		}
		if err != nil {
			t.Fatalf("protobuf reads it: %v", err)
		}
		compare(t, batch, get(wanted, "invocation").Message())
	})
}

func compare(t *testing.T, batch *Batch, wanted protoreflect.Message) {
	t.Helper()
	if target := addressIn(get(wanted, "target").Message()); batch.Target != target {
		t.Errorf("target %v, not %v", batch.Target, target)
	}
	states, messages := get(wanted, "state").List(), get(wanted, "invocations").List()
	if states.Len() != len(batch.States) || messages.Len() != len(batch.Invocations) {
		t.Fatalf("%d states, %d invocations", len(batch.States), len(batch.Invocations))
	}
	for i, state := range batch.States {
		one := states.Get(i).Message()
		if state.Name != get(one, "name").String() || told(state.Value) != valueIn(get(one, "value").Message()) {
			t.Errorf("state %d is %v", i, state)
		}
	}
	for i, message := range batch.Invocations {
		one := messages.Get(i).Message()
		if message.HasCaller != has(one, "caller") || message.Caller != addressIn(get(one, "caller").Message()) {
			t.Errorf("caller %d is %v", i, message.Caller)
		}
		if told(message.Argument) != valueIn(get(one, "argument").Message()) {
			t.Errorf("argument %d is %v", i, message.Argument)
		}
		if string(message.Record) != string(get(one, "record").Bytes()) {
			t.Errorf("record %d is %x", i, message.Record)
		}
	}
}

// Whatever is written, protobuf's own code reads it and writes the same bytes.
func FuzzRepliesAreWrittenAsProtobufWritesThem(f *testing.F) {
	f.Add("name", []byte("value"), int64(7), true)
	f.Add("", []byte{}, int64(0), false)
	f.Add("n", []byte{0}, int64(-1), true)
	descriptors := reference(f)
	f.Fuzz(func(t *testing.T, text string, content []byte, number int64, flag bool) {
		text = strings.ToValidUTF8(text, "?")
		target, value := Address{text, "type", text}, Value{text, flag, content}
		var effects Effects
		effects.Send(target, value)
		effects.SendAfter(number, target, value, text)
		effects.Cancel(text)
		effects.SendEgress(text, "out", value)
		reply := effects.Reply([]Mutation{{text, value}, {"gone", Value{}}})
		check(t, descriptors["FromFunction"], reply)
		specs := []Spec{{text, "type", ExpireAfterInvoke, number}, {"b", text, ExpireNever, 0}}
		check(t, descriptors["FromFunction"], Incomplete(specs))
		index := int(uint16(number))
		for _, outcome := range [][]byte{
			AppendReply(nil, index, reply), AppendFailure(nil, index, Failure{index, text}),
		} {
			split, err := Split(outcome)
			if err != nil || len(split) != 1 {
				t.Fatalf("%x: %v", outcome, err)
			}
			check(t, descriptors["Outcome"], split[0])
		}
		options := RecordOptions{Headers: []RecordHeader{{text, content}, {"k", nil}}, TimestampMs: number}
		if flag {
			options.Partition = new(int32)
		}
		check(t, descriptors["Record"], options.Append(AppendText(nil, 1, text)))
	})
}

func check(t *testing.T, descriptor protoreflect.MessageDescriptor, written []byte) {
	t.Helper()
	read := dynamicpb.NewMessage(descriptor)
	if err := proto.Unmarshal(written, read); err != nil {
		t.Fatalf("%s: %v: %x", descriptor.Name(), err, written)
	}
	again, err := proto.MarshalOptions{Deterministic: true}.Marshal(read)
	if err != nil || string(again) != string(written) {
		t.Errorf("%s: wrote %x, protobuf %x (%v)", descriptor.Name(), written, again, err)
	}
	if len(read.GetUnknown()) > 0 {
		t.Errorf("%s has unknown fields", descriptor.Name())
	}
}
