package statefun

// StatefulFunction is what a runtime calls with the messages for one function type.
//
// There is an instance for every id, always. It is called with one message after another; what it
// asks for (states, messages, records) happens together when all messages of its batch have succeeded,
// or not at all. Messages of several ids come at the same time, so a StatefulFunction is used by many
// goroutines.
type StatefulFunction interface {
	// Invoke takes one message. The context ends when Invoke returns. An error, or a panic, fails the
	// whole batch: the runtime applies nothing of it and tries again.
	Invoke(ctx Context, message Message) error
}

// StatefulFunctionSpec is a function and what it keeps.
type StatefulFunctionSpec struct {
	FunctionType TypeName
	// States are all that the function may have.
	States   []ValueSpec
	Function StatefulFunction
}

// StatefulFunctionPointer makes a StatefulFunction of a Go function.
type StatefulFunctionPointer func(Context, Message) error

func (s StatefulFunctionPointer) Invoke(ctx Context, message Message) error {
	return s(ctx, message)
}
