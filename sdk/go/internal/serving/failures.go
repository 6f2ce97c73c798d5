package serving

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"statefun.internal/sdk-go/internal/wire"
)

const (
	messageMax = 1000
	stackMax   = 20_000
	quiet      = time.Minute
	distinct   = 10
)

// A Refused is an argument that a function gave to the SDK and that cannot be right. Methods without
// an error to return panic with one, and it is told like an error, not like a panic.
type Refused struct{ Reason error }

func (r *Refused) Error() string { return r.Reason.Error() }

func (r *Refused) Unwrap() error { return r.Reason }

// Refuse panics with a Refused.
func Refuse(format string, arguments ...any) {
	panic(&Refused{fmt.Errorf(format, arguments...)})
}

// An Unknown is a batch for a function type that nobody registered.
type Unknown struct{ Text string }

func (u *Unknown) Error() string { return u.Text }

// A Panic is what a function ended with that did not return.
type Panic struct {
	Value any
	Stack string
}

// recovered makes an error of what recover returned.
func recovered(value any) error {
	if refused, ok := value.(*Refused); ok {
		return refused
	}
	stack := string(debug.Stack())
	// What stands above is how the stack was taken.
	if _, below, ok := strings.Cut(stack, "\npanic("); ok {
		stack = "panic(" + below
	}
	return &Panic{Value: value, Stack: stack}
}

func (p *Panic) Error() string {
	return fmt.Sprintf("panic: %v", p.Value)
}

func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// describe returns an error's type and message. Types that only say that it is an error are left out.
func describe(err error) string {
	message := safely(err)
	if kind := kindOf(err); kind != "" {
		message = kind + ": " + message
	}
	message = strings.ToValidUTF8(message, "\uFFFD")
	if count := utf8.RuneCountInString(message); count > messageMax {
		return fmt.Sprintf("%s… (%d characters)", string([]rune(message)[:messageMax]), count)
	}
	return message
}

// safely returns the message of an error, also of one whose own method panics.
func safely(err error) (message string) {
	defer func() {
		if problem := recover(); problem != nil {
			message = fmt.Sprintf("its message cannot be made: %v", problem)
		}
	}()
	return err.Error()
}

// kindOf returns the name of the first type in the chain of an error that says something.
func kindOf(err error) string {
	for ; err != nil; err = errors.Unwrap(err) {
		switch err.(type) {
		case *Refused, *Panic, *Unknown, runtime.Error:
			continue
		}
		kind := reflect.TypeOf(err).String()
		if !strings.HasPrefix(kind, "*errors.") && !strings.HasPrefix(kind, "*fmt.") {
			return strings.TrimPrefix(kind, "*")
		}
	}
	return ""
}

// failures turns errors into what a request is answered with, and logs them. A runtime tries again
// many times: of each function type every text is logged once a minute, and ten texts at most.
type failures struct {
	showStacks bool
	mutex      sync.Mutex
	said       map[string]*minute
}

type minute struct {
	ends    time.Time
	texts   map[string]bool
	leftOut int
}

func (f *failures) answer(ctx context.Context, target wire.Address, err error) wire.Failure {
	text, stack := describe(err), stackOf(err)
	if ctx.Err() == nil {
		// Else the runtime is gone, and what fails because of that tells nothing.
		f.log(target, text, stack)
	}
	status := http.StatusInternalServerError
	var unknown *Unknown
	if errors.As(err, &unknown) {
		status = http.StatusNotFound
	}
	if f.showStacks && stack != "" {
		text += "\n\n" + stack
	}
	return wire.Failure{Status: status, Text: text}
}

func stackOf(err error) string {
	var problem *Panic
	if !errors.As(err, &problem) {
		return ""
	}
	if _, refused := problem.Value.(*Refused); refused {
		return ""
	}
	return cut(problem.Stack, stackMax)
}

func (f *failures) log(target wire.Address, text, stack string) {
	function := target.Namespace + "/" + target.Type
	leftOut, ok := f.mayLog(function, text)
	if !ok {
		return
	}
	more := ""
	if leftOut > 0 {
		more = fmt.Sprintf(" (and %d failures more in the minute before)", leftOut)
	}
	if stack != "" {
		stack = "\n" + stack
	}
	who := "a request"
	if function != "/" {
		who = fmt.Sprintf("%s, id %q,", function, target.Id)
	}
	log.Printf("%s failed: %s%s%s", who, text, more, stack)
}

// mayLog says whether a text is to be logged, and how many were left out before it.
func (f *failures) mayLog(function, text string) (leftOut int, ok bool) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	now := time.Now()
	said := f.said[function]
	if said == nil || now.After(said.ends) {
		if said != nil {
			leftOut = said.leftOut
		} else if f.said == nil || len(f.said) >= 100*distinct {
			// Names of functions that nobody registered come from outside.
			f.said = map[string]*minute{}
		}
		said = &minute{ends: now.Add(quiet), texts: map[string]bool{}}
		f.said[function] = said
	}
	if said.texts[text] || len(said.texts) >= distinct {
		said.leftOut++
		return 0, false
	}
	said.texts[text] = true
	return leftOut, true
}

// cut returns the first bytes of a text, whole characters.
func cut(text string, size int) string {
	if len(text) <= size {
		return text
	}
	for size > 0 && !utf8.RuneStart(text[size]) {
		size--
	}
	return text[:size]
}
