package statefun

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync/atomic"
	"time"

	"statefun.internal/sdk-go/internal/wire"
)

// function is a spec that was found right.
type function struct {
	typename TypeName
	invoked  StatefulFunction
	specs    []wire.Spec
	places   map[string]int
	lateMs   atomic.Int64
}

func newFunction(spec StatefulFunctionSpec) (*function, error) {
	if spec.FunctionType == nil {
		return nil, errors.New("a function needs a FunctionType")
	}
	problem := "function " + spec.FunctionType.String()
	if err := checkText(problem, spec.FunctionType.String()); err != nil {
		return nil, err
	}
	if spec.Function == nil {
		return nil, fmt.Errorf("%s: its Function is nil", problem)
	}
	f := &function{typename: spec.FunctionType, invoked: spec.Function, places: map[string]int{}}
	for _, state := range spec.States {
		encoded, err := state.onWire()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", problem, err)
		}
		if _, isThere := f.places[encoded.Name]; isThere {
			return nil, fmt.Errorf("%s: state %s is there twice", problem, encoded.Name)
		}
		f.places[encoded.Name] = len(f.specs)
		f.specs = append(f.specs, encoded)
	}
	return f, nil
}

// run invokes the function with each message of a batch, and returns the FromFunction.
func (f *function) run(ctx context.Context, bound *bound, request *wire.Batch) ([]byte, error) {
	running := &batch{
		function: f,
		self:     Address{FunctionType: f.typename, Id: request.Target.Id},
		storage:  storage{function: f},
	}
	if missing := running.storage.fill(request.States); missing != nil {
		return wire.Incomplete(missing), nil
	}
	defer running.storage.close()
	for i := range request.Invocations {
		// A runtime that is gone sends the batch again; nobody reads what more is done.
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := running.invoke(ctx, bound, request.Target, &request.Invocations[i]); err != nil {
			return nil, err
		}
	}
	return running.effects.Reply(running.storage.close()), nil
}

func (b *batch) invoke(
	ctx context.Context, bound *bound, target wire.Address, message *wire.Invocation,
) error {
	running := &struct {
		statefunContext
		invocation
	}{}
	running.invocation = invocation{batch: b, record: message.Record}
	running.invocation.life.inner = ctx
	running.statefunContext = statefunContext{&running.invocation.life, &running.invocation}
	if caller, ok := message.CallerIfAny(); ok {
		running.invocation.caller = &Address{FunctionType: bound.typename(caller), Id: caller.Id}
	}
	// Also when the function panics: what it started must not have effects any more.
	defer running.invocation.end()
	return b.function.invoked.Invoke(&running.statefunContext, Message{target, message.Argument})
}

// tooLate tells of an effect that came when its invocation was over, once a minute.
func (f *function) tooLate(what string) {
	now, last := time.Now().UnixMilli(), f.lateMs.Load()
	if now-last < time.Minute.Milliseconds() || !f.lateMs.CompareAndSwap(last, now) {
		return
	}
	log.Printf(
		"%v: %s was dropped, because Invoke had returned; a goroutine that has effects must end before Invoke does",
		f.typename, what,
	)
}
