package statefun

import (
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"statefun.internal/sdk-go/internal/wire"
	"statefun.internal/sdk-go/pkg/flink/statefun/io"
)

// Output is where a function sends things. A message that is an Any goes as it is, another is packed
// into one; on the wire it is a typed value whose typename is the Any's type URL.
type Output interface {
	// Send sends a message to a function.
	Send(target Address, message proto.Message) error

	// SendAfter sends a message to a function when a time has passed. A runtime counts in
	// milliseconds: a part of one is a whole one.
	SendAfter(target Address, duration time.Duration, message proto.Message) error

	// SendEgress sends a record to an egress.
	SendEgress(egress io.EgressIdentifier, message proto.Message) error
}

type output struct {
	mutex   sync.Mutex
	effects wire.Effects
	isOver  bool
}

func (o *output) Send(target Address, message proto.Message) error {
	address, value, err := prepare(target, message)
	if err != nil {
		return err
	}
	return o.effect(func(effects *wire.Effects) { effects.Send(address, value) })
}

func (o *output) SendAfter(target Address, duration time.Duration, message proto.Message) error {
	address, value, err := prepare(target, message)
	if err != nil {
		return err
	}
	if duration < 0 {
		return fmt.Errorf("the delay of the message to %v is negative: %v", &target, duration)
	}
	delayMs := duration.Milliseconds()
	if duration > duration.Truncate(time.Millisecond) {
		delayMs++
	}
	return o.effect(func(effects *wire.Effects) { effects.SendAfter(delayMs, address, value, "") })
}

func (o *output) SendEgress(egress io.EgressIdentifier, message proto.Message) error {
	if egress.EgressNamespace == "" || egress.EgressType == "" {
		return fmt.Errorf("an egress has a namespace and a type; it is %q", egress.String())
	}
	value, err := pack(message)
	if err != nil {
		return fmt.Errorf("the record to %v: %w", &egress, err)
	}
	return o.effect(func(effects *wire.Effects) {
		effects.SendEgress(egress.EgressNamespace, egress.EgressType, value)
	})
}

func (o *output) effect(apply func(*wire.Effects)) error {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if o.isOver {
		return fmt.Errorf("the batch is over; a goroutine that sends must end before Invoke does")
	}
	apply(&o.effects)
	return nil
}

func (o *output) close() {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.isOver = true
}

func prepare(target Address, message proto.Message) (wire.Address, wire.Value, error) {
	address := wire.Address{
		Namespace: target.FunctionType.Namespace, Type: target.FunctionType.Type, Id: target.Id,
	}
	if address.Namespace == "" || address.Type == "" || address.Id == "" {
		return address, wire.Value{}, fmt.Errorf("a message needs a target with namespace, type and id; it is %q", target.String())
	}
	if !utf8.ValidString(target.String()) {
		return address, wire.Value{}, fmt.Errorf("the target of a message is not valid UTF-8: %q", target.String())
	}
	value, err := pack(message)
	if err != nil {
		return address, value, fmt.Errorf("the message to %v: %w", &target, err)
	}
	return address, value, nil
}

// pack makes a typed value of a message.
func pack(message proto.Message) (wire.Value, error) {
	if message == nil {
		return wire.Value{}, fmt.Errorf("it is nil")
	}
	packed, isAny := message.(*anypb.Any)
	if !isAny {
		var err error
		if packed, err = anypb.New(message); err != nil {
			return wire.Value{}, err
		}
	}
	if packed == nil || !isTypename(packed.TypeUrl) {
		return wire.Value{}, fmt.Errorf("its type URL %q is not of the form namespace/type", packed.GetTypeUrl())
	}
	return wire.Value{Typename: packed.TypeUrl, HasValue: true, Bytes: packed.Value}, nil
}

func isTypename(text string) bool {
	at := strings.LastIndexByte(text, '/')
	return at > 0 && at < len(text)-1 && utf8.ValidString(text)
}

// unpack reads a typed value into a message; into an Any it goes as it is.
func unpack(typename string, value []byte, into proto.Message) error {
	packed := &anypb.Any{TypeUrl: typename, Value: value}
	switch into := into.(type) {
	case nil:
		return fmt.Errorf("a value of %s is read into a message, not into nil", typename)
	case *anypb.Any:
		into.TypeUrl, into.Value = packed.TypeUrl, packed.Value
		return nil
	}
	return packed.UnmarshalTo(into)
}
