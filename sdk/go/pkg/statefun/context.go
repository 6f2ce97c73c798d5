package statefun

import (
	"context"
	"errors"
	"sync"
	"time"

	"statefun.internal/sdk-go/internal/serving"
	"statefun.internal/sdk-go/internal/wire"
)

// Context is what a function knows of an invocation, and how it has effects. It may be used by many
// goroutines until Invoke returns; it is then cancelled, and effects that come later are dropped.
//
// What cannot be right (a message without a target, a negative delay) panics with an error, which
// fails the batch.
type Context interface {
	context.Context

	// Self is the address that is invoked.
	Self() Address

	// Caller is the address that sent the message, nil if it came from an ingress.
	Caller() *Address

	// Send sends a message to a function.
	Send(message MessageBuilder)

	// SendAfter sends a message to a function when a time has passed. A runtime counts in
	// milliseconds: a part of one is a whole one.
	SendAfter(delay time.Duration, message MessageBuilder)

	// SendAfterWithCancellationToken is SendAfter for a message that can be cancelled until then.
	SendAfterWithCancellationToken(delay time.Duration, token CancellationToken, message MessageBuilder)

	// CancelDelayedMessage cancels the message that this address sent with the token. It does nothing
	// if that was delivered, or never sent.
	CancelDelayedMessage(token CancellationToken)

	// SendEgress sends a record to an egress.
	SendEgress(egress EgressBuilder)

	// Storage has the states of Self.
	Storage() AddressScopedStorage
}

// batch is what all invocations of one request share.
type batch struct {
	function *function
	self     Address
	storage  storage
	mutex    sync.Mutex
	effects  wire.Effects
}

// invocation is one message of a batch.
type invocation struct {
	batch  *batch
	caller *Address
	record []byte
	life   life
	isOver bool
}

type statefunContext struct {
	context.Context
	*invocation
}

func (i *invocation) Self() Address                 { return i.batch.self }
func (i *invocation) Caller() *Address              { return i.caller }
func (i *invocation) Storage() AddressScopedStorage { return &i.batch.storage }

func (i *invocation) Send(message MessageBuilder) {
	encoded := encode(message)
	i.effect("a message", func(effects *wire.Effects) {
		effects.Send(encoded.target, encoded.value)
	})
}

func (i *invocation) SendAfter(delay time.Duration, message MessageBuilder) {
	i.sendAfter(delay, "", message)
}

func (i *invocation) SendAfterWithCancellationToken(
	delay time.Duration, token CancellationToken, message MessageBuilder,
) {
	i.sendAfter(delay, textOf(token), message)
}

func (i *invocation) sendAfter(delay time.Duration, token string, message MessageBuilder) {
	encoded := encode(message)
	if delay < 0 {
		refuse("the delay of the message to %v is negative: %v", encoded.target, delay)
	}
	delayMs := delay.Milliseconds()
	if delay > delay.Truncate(time.Millisecond) {
		delayMs++
	}
	i.effect("a delayed message", func(effects *wire.Effects) {
		effects.SendAfter(delayMs, encoded.target, encoded.value, token)
	})
}

func (i *invocation) CancelDelayedMessage(token CancellationToken) {
	text := textOf(token)
	i.effect("a cancellation", func(effects *wire.Effects) { effects.Cancel(text) })
}

func (i *invocation) SendEgress(egress EgressBuilder) {
	if egress == nil {
		refuse("SendEgress needs a record; it is nil")
	}
	record, err := egress.toEgressRecord()
	if err != nil {
		refuse("%w", err)
	}
	i.effect("a record", func(effects *wire.Effects) {
		effects.SendEgress(record.namespace, record.name, record.value)
	})
}

func (i *invocation) effect(what string, apply func(*wire.Effects)) {
	i.batch.mutex.Lock()
	defer i.batch.mutex.Unlock()
	if i.isOver {
		i.batch.function.tooLate(what)
		return
	}
	apply(&i.batch.effects)
}

// end cancels the context, and closes the door to effects.
func (i *invocation) end() {
	i.batch.mutex.Lock()
	i.isOver = true
	i.batch.mutex.Unlock()
	i.life.end()
}

func encode(message MessageBuilder) Message {
	encoded, err := message.ToMessage()
	if err != nil {
		refuse("%w", err)
	}
	return encoded
}

func textOf(token CancellationToken) string {
	if token == nil || token.Token() == "" {
		refuse("a cancellation token is nil or empty; make one with NewCancellationToken")
	}
	return token.Token()
}

func refuse(format string, arguments ...any) {
	serving.Refuse(format, arguments...)
}

// DeriveContext returns a context of the same invocation around another context.Context.
func DeriveContext(statefunCtx Context, ctx context.Context) Context {
	known, ok := statefunCtx.(*statefunContext)
	if !ok {
		panic(errors.New("DeriveContext takes a context that a function was invoked with, or one derived from it"))
	}
	return &statefunContext{ctx, known.invocation}
}

// life is a context that ends with an invocation. Most functions never ask for its channel, and to
// register with the request's context is more than the rest of an invocation costs: so it is done
// when they ask.
type life struct {
	mutex  sync.Mutex
	inner  context.Context
	cancel context.CancelFunc
	isOver bool
}

func (l *life) end() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.isOver = true
	if l.cancel != nil {
		l.cancel()
	}
}

func (l *life) derived() context.Context {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.cancel == nil {
		l.inner, l.cancel = context.WithCancel(l.inner)
		if l.isOver {
			l.cancel()
		}
	}
	return l.inner
}

func (l *life) current() (inner context.Context, isOver bool) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.inner, l.isOver
}

func (l *life) Done() <-chan struct{} { return l.derived().Done() }

func (l *life) Err() error {
	inner, isOver := l.current()
	if err := inner.Err(); err != nil || !isOver {
		return err
	}
	return context.Canceled
}

func (l *life) Deadline() (time.Time, bool) {
	inner, _ := l.current()
	return inner.Deadline()
}

func (l *life) Value(key any) any {
	inner, _ := l.current()
	return inner.Value(key)
}
