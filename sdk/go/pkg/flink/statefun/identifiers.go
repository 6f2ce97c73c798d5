package statefun

import (
	"context"

	"statefun.internal/sdk-go/internal/wire"
)

// FunctionType names a type of functions.
type FunctionType struct {
	Namespace string
	Type      string
}

func (functionType *FunctionType) String() string {
	return functionType.Namespace + "/" + functionType.Type
}

// Address is one stateful function: its type, and an id within the type.
type Address struct {
	FunctionType FunctionType
	Id           string
}

func (address *Address) String() string {
	return address.FunctionType.String() + "/" + address.Id
}

type contextKey int

const (
	selfKey contextKey = iota
	callerKey
)

// Self returns the address that is invoked.
func Self(ctx context.Context) *Address {
	address, _ := ctx.Value(selfKey).(*Address)
	return address
}

// Caller returns the address that sent the message, nil if it came from an ingress.
func Caller(ctx context.Context) *Address {
	address, _ := ctx.Value(callerKey).(*Address)
	return address
}

func addressOf(address wire.Address) *Address {
	return &Address{FunctionType{address.Namespace, address.Type}, address.Id}
}

// invocationContext knows Self and Caller, and leaves everything else to the request's.
type invocationContext struct {
	context.Context
	self   *Address
	caller *Address
}

func (i *invocationContext) Value(key any) any {
	switch key {
	case selfKey:
		return i.self
	case callerKey:
		return i.caller
	}
	return i.Context.Value(key)
}
