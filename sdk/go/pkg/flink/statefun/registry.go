// Package statefun writes stateful functions in Go, with the names of the first SDK for Go: a registry
// of structs, and messages that are an Any. A program that uses it changes the paths of its imports, and
// runs on today's protocol.
package statefun

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"unicode/utf8"

	"statefun.internal/sdk-go/internal/serving"
	"statefun.internal/sdk-go/internal/wire"
)

// FunctionRegistry holds the functions of a program, and answers the requests of a runtime: over HTTP,
// one address or many at a time, or one by one wherever else they come from.
type FunctionRegistry interface {
	http.Handler

	// Invoke answers one request, as AWS Lambda and its like have them.
	Invoke(ctx context.Context, payload []byte) ([]byte, error)

	// RegisterFunction adds a function. One with State fields is a pointer to a struct.
	RegisterFunction(funcType FunctionType, function StatefulFunction) error
}

type registry struct {
	*serving.Handler
	mutex     sync.RWMutex
	functions map[FunctionType]*function
}

// Options of a registry; the zero value is what NewFunctionRegistry takes.
type Options = serving.Options

// NewFunctionRegistry returns an empty registry.
func NewFunctionRegistry() FunctionRegistry {
	return NewFunctionRegistryWith(Options{})
}

// NewFunctionRegistryWith is NewFunctionRegistry with options.
func NewFunctionRegistryWith(options Options) FunctionRegistry {
	r := &registry{functions: map[FunctionType]*function{}}
	r.Handler = serving.NewHandler((*registered)(r), options)
	return r
}

func (r *registry) RegisterFunction(funcType FunctionType, function StatefulFunction) error {
	if funcType.Namespace == "" || funcType.Type == "" || !utf8.ValidString(funcType.String()) {
		return fmt.Errorf("function type %q is not of the form namespace/type", funcType.String())
	}
	added, err := newFunction(function)
	if err != nil {
		return fmt.Errorf("function %v cannot be registered: %w", &funcType, err)
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if _, isThere := r.functions[funcType]; isThere {
		return fmt.Errorf("function %v cannot be registered: %w", &funcType, errors.New("it is there already"))
	}
	r.functions[funcType] = added
	return nil
}

// registered is the registry as its handler sees it.
type registered registry

func (r *registered) Names() wire.Names { return nil }

func (r *registered) Invoke(ctx context.Context, batch *wire.Batch) ([]byte, error) {
	funcType := FunctionType{batch.Target.Namespace, batch.Target.Type}
	r.mutex.RLock()
	called := r.functions[funcType]
	r.mutex.RUnlock()
	if called == nil {
		return nil, &serving.Unknown{Text: fmt.Sprintf("function type %v is not registered here", &funcType)}
	}
	return called.run(ctx, batch)
}
