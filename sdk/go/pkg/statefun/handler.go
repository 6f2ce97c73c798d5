// Package statefun writes stateful functions in Go, with the names of the StateFun SDK for Go,
// version 3: a program that uses it changes the path of its import, and nothing else.
package statefun

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sort"
	"strings"
	"sync"
	"sync/atomic"

	"statefun.internal/sdk-go/internal/serving"
	"statefun.internal/sdk-go/internal/wire"
)

// StatefulFunctions holds the functions of a program.
type StatefulFunctions interface {
	// WithSpec adds a function. It returns an error if the spec cannot be right.
	WithSpec(spec StatefulFunctionSpec) error

	// AsHandler returns a handler of the functions, also of those that are added later.
	AsHandler() RequestReplyHandler
}

// RequestReplyHandler answers the requests of a runtime: over HTTP, one address or many at a time, or
// one by one wherever else they come from.
type RequestReplyHandler interface {
	http.Handler

	// Invoke answers one request, as AWS Lambda and its like have them.
	Invoke(ctx context.Context, payload []byte) ([]byte, error)
}

// Options of a handler; the zero value is what AsHandler takes.
type Options = serving.Options

// StatefulFunctionsBuilder returns an empty StatefulFunctions.
func StatefulFunctionsBuilder() StatefulFunctions {
	f := &functions{}
	f.bound.Store(&bound{types: map[string]map[string]*function{}, names: primitiveNames()})
	return f
}

// HandlerWith is AsHandler with options.
func HandlerWith(functions StatefulFunctions, options Options) RequestReplyHandler {
	if known, ok := functions.(serving.Functions); ok {
		return serving.NewHandler(known, options)
	}
	panic(errors.New("HandlerWith takes what StatefulFunctionsBuilder returned"))
}

// functions is read by every request and written at the start, as a rule: whoever adds a function
// makes everything anew, and a request reads what is there without a lock.
type functions struct {
	adding sync.Mutex
	bound  atomic.Pointer[bound]
}

type bound struct {
	types map[string]map[string]*function
	names wire.Names
}

func (f *functions) AsHandler() RequestReplyHandler {
	return HandlerWith(f, Options{})
}

func (f *functions) WithSpec(spec StatefulFunctionSpec) error {
	added, err := newFunction(spec)
	if err != nil {
		return err
	}
	f.adding.Lock()
	defer f.adding.Unlock()
	old := f.bound.Load()
	namespace, name := spec.FunctionType.GetNamespace(), spec.FunctionType.GetType()
	if old.types[namespace][name] != nil {
		return fmt.Errorf("function type %v is registered already", spec.FunctionType)
	}
	next := old.copied()
	if next.types[namespace] == nil {
		next.types[namespace] = map[string]*function{}
	}
	next.types[namespace][name] = added
	next.names.Add(namespace, name)
	for _, state := range added.specs {
		next.names.Add(state.Name, state.Typename)
	}
	f.bound.Store(next)
	return nil
}

// Names are strings that requests often have.
func (f *functions) Names() wire.Names { return f.bound.Load().names }

// Invoke runs one batch.
func (f *functions) Invoke(ctx context.Context, batch *wire.Batch) ([]byte, error) {
	bound := f.bound.Load()
	called := bound.types[batch.Target.Namespace][batch.Target.Type]
	if called == nil {
		return nil, &serving.Unknown{Text: bound.unknown(batch.Target)}
	}
	return called.run(ctx, bound, batch)
}

func (b *bound) copied() *bound {
	next := &bound{types: map[string]map[string]*function{}, names: wire.Names{}}
	for namespace, types := range b.types {
		next.types[namespace] = map[string]*function{}
		for name, function := range types {
			next.types[namespace][name] = function
		}
	}
	for name := range b.names {
		next.names.Add(name)
	}
	return next
}

func (b *bound) unknown(target wire.Address) string {
	var known []string
	for _, types := range b.types {
		for _, function := range types {
			known = append(known, function.typename.String())
		}
	}
	sort.Strings(known)
	text := "none"
	if len(known) > 0 {
		text = strings.Join(known, ", ")
	}
	return fmt.Sprintf("function type %s/%s is not registered here; registered: %s", target.Namespace, target.Type, text)
}

// typename returns the TypeName of a function, the one that it was registered with if it was.
func (b *bound) typename(address wire.Address) TypeName {
	if known := b.types[address.Namespace][address.Type]; known != nil {
		return known.typename
	}
	return typeName{address.Namespace, address.Type, address.Namespace + "/" + address.Type}
}

func primitiveNames() wire.Names {
	names := wire.Names{}
	for p := BoolType; p <= StringType; p++ {
		names.Add(p.GetTypeName().String())
	}
	return names
}
