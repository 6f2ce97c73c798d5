package statefun

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"google.golang.org/protobuf/types/known/anypb"

	"statefun.internal/sdk-go/internal/wire"
)

// StatefulFunction is what a runtime calls with the messages for one function type.
//
// Its State fields hold what the runtime keeps for the id that is called. Messages of several ids come
// at the same time, so each batch gets a copy of the struct: what functions share stands behind
// pointers, and what a function puts into another field is gone after its batch.
type StatefulFunction interface {
	// Invoke takes one message. An error, or a panic, fails the whole batch: the runtime applies nothing
	// of it and tries again.
	Invoke(ctx context.Context, output Output, msg *anypb.Any) error
}

// function is a registered StatefulFunction.
type function struct {
	original StatefulFunction
	fields   [][]int
	specs    []wire.Spec
}

func newFunction(original StatefulFunction) (*function, error) {
	if original == nil {
		return nil, errors.New("the function is nil")
	}
	f := &function{original: original}
	kind := reflect.TypeOf(original)
	isPointer := kind.Kind() == reflect.Pointer
	if isPointer {
		if reflect.ValueOf(original).IsNil() {
			return nil, errors.New("the function is nil")
		}
		kind = kind.Elem()
	}
	if kind.Kind() != reflect.Struct {
		return f, nil
	}
	if err := f.collect(kind, nil); err != nil || len(f.specs) == 0 {
		return f, err
	}
	if !isPointer {
		return nil, fmt.Errorf("it has State fields, which can only be set in a pointer: register &%s{}", kind.Name())
	}
	if name := lockIn(kind); name != "" {
		return nil, fmt.Errorf("each batch gets a copy of the struct, and field %s has a lock, which cannot be copied; make it a pointer", name)
	}
	return f, nil
}

// collect finds the State fields, also those of embedded structs.
func (f *function) collect(kind reflect.Type, above []int) error {
	for i := 0; i < kind.NumField(); i++ {
		field := kind.Field(i)
		place := append(append([]int{}, above...), i)
		if field.Anonymous && field.Type.Kind() == reflect.Struct {
			if err := f.collect(field.Type, place); err != nil {
				return err
			}
		}
		if field.Type != stateType {
			continue
		}
		spec, err := specOf(field)
		if err != nil {
			return err
		}
		for _, known := range f.specs {
			if known.Name == spec.Name {
				return fmt.Errorf("state %s is there twice", spec.Name)
			}
		}
		f.fields, f.specs = append(f.fields, place), append(f.specs, spec)
	}
	return nil
}

var locker = reflect.TypeFor[sync.Locker]()

// lockIn returns the name of a field that must not be copied, by the rule of go vet.
func lockIn(kind reflect.Type) string {
	for i := 0; kind.Kind() == reflect.Struct && i < kind.NumField(); i++ {
		field := kind.Field(i)
		held := field.Type
		for held.Kind() == reflect.Array {
			held = held.Elem()
		}
		if held.Kind() == reflect.Struct && (reflect.PointerTo(held).Implements(locker) || lockIn(held) != "") {
			return field.Name
		}
	}
	return ""
}

// run invokes the function with each message of a batch, and returns the FromFunction.
func (f *function) run(ctx context.Context, batch *wire.Batch) ([]byte, error) {
	values, missing := f.fill(batch.States)
	if missing != nil {
		return wire.Incomplete(missing), nil
	}
	invoked, sent := f.instance(values), &output{}
	defer sent.close()
	self := addressOf(batch.Target)
	for i := range batch.Invocations {
		// A runtime that is gone sends the batch again; nobody reads what more is done.
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := invoke(ctx, self, invoked, sent, &batch.Invocations[i]); err != nil {
			return nil, err
		}
	}
	sent.close()
	var mutations []wire.Mutation
	for i := range values {
		if mutation, isChanged := values[i].mutation(); isChanged {
			mutations = append(mutations, mutation)
		}
	}
	return sent.effects.Reply(mutations), nil
}

func invoke(
	ctx context.Context, self *Address, invoked StatefulFunction, sent Output, message *wire.Invocation,
) error {
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	known := &invocationContext{Context: within, self: self}
	if caller, ok := message.CallerIfAny(); ok {
		known.caller = addressOf(caller)
	}
	argument := &anypb.Any{TypeUrl: message.Argument.Typename, Value: message.Argument.Bytes}
	return invoked.Invoke(known, sent, argument)
}

// fill takes the states of a request, and returns the specs of those that it lacks.
func (f *function) fill(states []wire.State) ([]value, []wire.Spec) {
	values := make([]value, len(f.specs))
	var missing []wire.Spec
	for i, spec := range f.specs {
		values[i].spec = spec
		isThere := false
		for j := range states {
			if states[j].Name == spec.Name {
				values[i].current, isThere = states[j].Value, true
			}
		}
		if !isThere {
			missing = append(missing, spec)
		}
	}
	return values, missing
}

// instance returns what a batch is run by.
func (f *function) instance(values []value) StatefulFunction {
	if len(values) == 0 {
		return f.original
	}
	original := reflect.ValueOf(f.original).Elem()
	instance := reflect.New(original.Type())
	instance.Elem().Set(original)
	for i, place := range f.fields {
		instance.Elem().FieldByIndex(place).Set(reflect.ValueOf(&values[i]))
	}
	return instance.Interface().(StatefulFunction)
}
