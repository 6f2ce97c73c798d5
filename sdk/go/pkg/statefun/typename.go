package statefun

import (
	"errors"
	"fmt"
	"strings"

	"statefun.internal/sdk-go/internal/wire"
)

var (
	boolTypeName    = TypeNameFrom("io.statefun.types/bool")
	int32TypeName   = TypeNameFrom("io.statefun.types/int")
	int64TypeName   = TypeNameFrom("io.statefun.types/long")
	float32TypeName = TypeNameFrom("io.statefun.types/float")
	float64TypeName = TypeNameFrom("io.statefun.types/double")
	stringTypeName  = TypeNameFrom("io.statefun.types/string")
)

// TypeName names a function type, a type of values, or an egress. It prints as namespace/type.
type TypeName interface {
	fmt.Stringer
	GetNamespace() string
	GetType() string
}

type typeName struct {
	namespace string
	name      string
	whole     string
}

func (t typeName) String() string       { return t.whole }
func (t typeName) GetNamespace() string { return t.namespace }
func (t typeName) GetType() string      { return t.name }

// TypeNameFrom is ParseTypeName for names that stand in the program: it panics if they are wrong.
func TypeNameFrom(typename string) TypeName {
	result, err := ParseTypeName(typename)
	if err != nil {
		panic(err)
	}
	return result
}

// ParseTypeName splits namespace/type at the last slash.
func ParseTypeName(typename string) (TypeName, error) {
	at := strings.LastIndexByte(typename, '/')
	if at <= 0 || at == len(typename)-1 {
		return nil, fmt.Errorf("%q is not of the form namespace/type", typename)
	}
	return TypeNameFromParts(strings.TrimSuffix(typename[:at], "/"), typename[at+1:])
}

// TypeNameFromParts puts a namespace and a type together.
func TypeNameFromParts(namespace, tpe string) (TypeName, error) {
	if namespace == "" {
		return nil, errors.New("the namespace of a typename is empty")
	}
	if tpe == "" {
		return nil, errors.New("the type of a typename is empty")
	}
	return typeName{namespace: namespace, name: tpe, whole: namespace + "/" + tpe}, nil
}

// Address is one stateful function: its type, and an id within the type.
type Address struct {
	FunctionType TypeName
	Id           string
}

func (a Address) String() string {
	if a.FunctionType == nil {
		return fmt.Sprintf("Address(, , %s)", a.Id)
	}
	return fmt.Sprintf("Address(%s, %s, %s)", a.FunctionType.GetNamespace(), a.FunctionType.GetType(), a.Id)
}

// onWire checks an address that something is sent to.
func (a Address) onWire() (wire.Address, error) {
	if a.FunctionType == nil || a.Id == "" {
		return wire.Address{}, fmt.Errorf("a message needs a target with a function type and an id; it is %v", a)
	}
	target := wire.Address{
		Namespace: a.FunctionType.GetNamespace(), Type: a.FunctionType.GetType(), Id: a.Id,
	}
	return target, checkText("the target of a message", target.Namespace, target.Type, target.Id)
}
