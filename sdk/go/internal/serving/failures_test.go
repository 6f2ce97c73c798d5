package serving

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"strings"
	"testing"
	"time"

	"statefun.internal/sdk-go/internal/wire"
)

type broken struct{}

func (broken) Error() string { panic("cannot say") }

func TestAnErrorIsToldByItsTypeAndItsMessage(t *testing.T) {
	_, missing := os.Open("/nowhere")
	for _, one := range []struct {
		err    error
		wanted string
	}{
		{errors.New("no such item"), "no such item"},
		{fmt.Errorf("cart: %w", errors.New("no such item")), "cart: no such item"},
		{missing, "fs.PathError: open /nowhere: no such file or directory"},
		{fmt.Errorf("cart: %w", missing), "fs.PathError: cart: open /nowhere: no such file or directory"},
		{&Panic{Value: "text"}, "panic: text"},
		{&Panic{Value: fs.ErrExist}, "panic: file already exists"},
		{&Panic{Value: missing}, "fs.PathError: panic: open /nowhere: no such file or directory"},
		{&Refused{errors.New("no target")}, "no target"},
		{broken{}, "serving.broken: its message cannot be made: cannot say"},
		{errors.New("not \xff UTF-8"), "not \uFFFD UTF-8"},
	} {
		if got := describe(one.err); got != one.wanted {
			t.Errorf("%q, not %q", got, one.wanted)
		}
	}
}

func TestAStackIsInTheAnswerOnlyIfItIsAskedFor(t *testing.T) {
	problem := &Panic{Value: "text", Stack: "panic(...)\nmain.go:7"}
	for _, showStacks := range []bool{false, true} {
		f := failures{showStacks: showStacks}
		logged := capture(func() {
			answer := f.answer(context.Background(), wire.Address{Namespace: "a", Type: "b", Id: "c"}, problem)
			if strings.Contains(answer.Text, "main.go:7") != showStacks || answer.Status != 500 {
				t.Errorf("%v: %+v", showStacks, answer)
			}
		})
		if logged != "a/b, id \"c\", failed: panic: text\npanic(...)\nmain.go:7\n" {
			t.Errorf("logged %q", logged)
		}
	}
}

func TestEachTextIsLoggedOnceAMinuteAndTenOfAFunction(t *testing.T) {
	f := failures{}
	fail := func(text string) {
		f.answer(context.Background(), wire.Address{Namespace: "a", Type: "b"}, errors.New(text))
	}
	logged := capture(func() {
		for i := range 30 {
			fail(fmt.Sprint("text ", i%15))
		}
	})
	if got := strings.Count(logged, "\n"); got != 10 {
		t.Errorf("%d lines:\n%s", got, logged)
	}
	f.said["a/b"].ends = time.Now().Add(-time.Second)
	logged = capture(func() { fail("text 0") })
	if logged != "a/b, id \"\", failed: text 0 (and 20 failures more in the minute before)\n" {
		t.Errorf("logged %q", logged)
	}
}

func TestWhatFailsBecauseTheRuntimeIsGoneIsNotLogged(t *testing.T) {
	f := failures{}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	logged := capture(func() { f.answer(ctx, wire.Address{}, ctx.Err()) })
	if logged != "" {
		t.Errorf("logged %q", logged)
	}
}

func TestNamesFromOutsideDoNotFillTheMemory(t *testing.T) {
	f := failures{}
	capture(func() {
		for i := range 5000 {
			f.answer(context.Background(), wire.Address{Type: fmt.Sprint(i)}, errors.New("no"))
		}
	})
	if len(f.said) > 1000 {
		t.Errorf("%d names are kept", len(f.said))
	}
}

func capture(do func()) string {
	var into bytes.Buffer
	flags := log.Flags()
	log.SetOutput(&into)
	log.SetFlags(0)
	defer func() {
		log.SetOutput(os.Stderr)
		log.SetFlags(flags)
	}()
	do()
	return into.String()
}
