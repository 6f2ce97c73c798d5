package statefun

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"statefun.internal/sdk-go/internal/wire"
)

// The tags of a field of type State.
const (
	// StateNameTag has the name of the state. It must be there.
	StateNameTag = "state"

	// StateTypeTag has the full name of the one message that the state is of, like shop.Session. Its
	// bytes are then the message's own, as the SDKs for other languages write and read them. Without it
	// the state may be of any message, and its bytes are those of an Any.
	StateTypeTag = "type"

	// ExpireAfterInvoke has the time from the last message to the id until the state expires, as
	// time.ParseDuration reads it.
	ExpireAfterInvoke = "expireAfterInvoke"

	// ExpireAfterWrite has the time from the last Set until the state expires, as time.ParseDuration
	// reads it.
	ExpireAfterWrite = "expireAfterWrite"
)

const (
	typeUrl = "type.googleapis.com/"
	anyType = typeUrl + "google.protobuf.Any"
)

var (
	stateName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z_\d-]*$`)
	stateType = reflect.TypeFor[State]()
)

// State is a field of a function's struct that the runtime keeps for each id.
//
//	type Greeter struct {
//		Session statefun.State `state:"session" expireAfterWrite:"1h"`
//	}
type State interface {
	// Get reads the state into a message. Without one exists is false, and the message is left alone.
	Get(state proto.Message) (exists bool, err error)

	// Set writes the state.
	Set(value proto.Message) error

	// Clear deletes the state.
	Clear()
}

// value is a State for the length of a batch.
type value struct {
	spec      wire.Spec
	mutex     sync.Mutex
	current   wire.Value
	isChanged bool
}

func (v *value) Get(state proto.Message) (bool, error) {
	v.mutex.Lock()
	current := v.current
	v.mutex.Unlock()
	if !current.HasValue {
		return false, nil
	}
	if current.Typename != v.spec.Typename {
		return false, fmt.Errorf("state %s holds a value of %s, and is registered with %s", v.spec.Name, current.Typename, v.spec.Typename)
	}
	var packed anypb.Any
	if v.spec.Typename != anyType {
		packed.TypeUrl, packed.Value = current.Typename, current.Bytes
	} else if err := proto.Unmarshal(current.Bytes, &packed); err != nil {
		return false, fmt.Errorf("state %s cannot be read: %w", v.spec.Name, err)
	}
	if err := unpack(packed.TypeUrl, packed.Value, state); err != nil {
		return true, fmt.Errorf("state %s cannot be read: %w", v.spec.Name, err)
	}
	return true, nil
}

func (v *value) Set(state proto.Message) error {
	packed, err := pack(state)
	if err != nil {
		return fmt.Errorf("state %s cannot be set: %w", v.spec.Name, err)
	}
	if v.spec.Typename == anyType {
		content, err := proto.Marshal(&anypb.Any{TypeUrl: packed.Typename, Value: packed.Bytes})
		if err != nil {
			return fmt.Errorf("state %s cannot be set: %w", v.spec.Name, err)
		}
		packed = wire.Value{Typename: anyType, HasValue: true, Bytes: content}
	}
	if packed.Typename != v.spec.Typename {
		return fmt.Errorf("state %s cannot be set to a value of %s: it is registered with %s", v.spec.Name, packed.Typename, v.spec.Typename)
	}
	v.change(packed)
	return nil
}

func (v *value) Clear() { v.change(wire.Value{}) }

func (v *value) change(to wire.Value) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.current, v.isChanged = to, true
}

// mutation returns the change, if there is one.
func (v *value) mutation() (wire.Mutation, bool) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	return wire.Mutation{Name: v.spec.Name, Value: v.current}, v.isChanged
}

// specOf reads the tags of a field.
func specOf(field reflect.StructField) (wire.Spec, error) {
	spec := wire.Spec{Name: field.Tag.Get(StateNameTag), Typename: anyType}
	if !stateName.MatchString(spec.Name) {
		return spec, fmt.Errorf("field %s needs the tag `%s:\"name\"`, and a name of letters, digits, _ and -", field.Name, StateNameTag)
	}
	if !field.IsExported() {
		return spec, fmt.Errorf("field %s cannot be set; its name must begin with an upper-case letter", field.Name)
	}
	if name, ok := field.Tag.Lookup(StateTypeTag); ok {
		spec.Typename = typeUrl + strings.TrimPrefix(name, typeUrl)
		if name == "" || strings.Count(spec.Typename, "/") != 1 {
			return spec, fmt.Errorf("field %s: %s:%q is not the full name of a message", field.Name, StateTypeTag, name)
		}
	}
	return spec, expire(&spec, field)
}

func expire(spec *wire.Spec, field reflect.StructField) error {
	for tag, mode := range map[string]int{
		ExpireAfterInvoke: wire.ExpireAfterInvoke, ExpireAfterWrite: wire.ExpireAfterWrite,
	} {
		text, ok := field.Tag.Lookup(tag)
		if !ok {
			continue
		}
		duration, err := time.ParseDuration(text)
		if err != nil || duration < time.Millisecond {
			return fmt.Errorf("field %s: %s:%q is not a duration of a millisecond or more, like 30m", field.Name, tag, text)
		}
		if spec.Expiration != wire.ExpireNever {
			return fmt.Errorf("field %s has two tags that say when it expires; at most one is right", field.Name)
		}
		spec.Expiration, spec.ExpireAfterMs = mode, duration.Milliseconds()
	}
	return nil
}
