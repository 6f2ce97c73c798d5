package serving

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"statefun.internal/sdk-go/internal/wire"
)

const (
	// gathering is how long an outcome waits for others, so that they leave in one write,
	gathering = 500 * time.Microsecond
	// and how long at most, while there are batches that nobody has begun with.
	gatheringMax = 5 * time.Millisecond
)

var errGoexit = errors.New("the function ended its goroutine with runtime.Goexit")

// A bundle is one request for many addresses.
//
//	runner: take an index ─▶ run it ─▶ put its outcome ─▶ take an index … ─▶ none left
//	writer: an outcome is there ─▶ wait for others ─▶ write them all … ─▶ all are written
//
// There is always one runner more than those that run a function: it takes the next index when one
// of them has to wait. So a bundle whose functions wait for nothing costs two goroutines, and one
// whose functions all wait has one for each, up to the handler's limit.
type bundle struct {
	handler  *Handler
	ctx      context.Context
	requests [][]byte

	mutex   sync.Mutex
	next    int
	spare   int
	runners int
	left    int
	ready   []byte

	wake chan struct{}
	done chan struct{}
}

func (h *Handler) serveBundle(writer http.ResponseWriter, request *http.Request, body []byte) {
	requests, err := wire.Split(body)
	if err != nil {
		http.Error(writer, err.Error(), http.StatusBadRequest)
		return
	}
	b := &bundle{
		handler:  h,
		ctx:      request.Context(),
		requests: requests,
		left:     len(requests),
		wake:     make(chan struct{}, 1),
		done:     make(chan struct{}),
	}
	if b.left == 0 {
		writeWhole(writer, bundles, nil)
		return
	}
	b.spare, b.runners = 1, 1
	go b.run(true)
	b.write(writer)
}

// run takes requests one after another. It ends when none is left; when a function ends its
// goroutine, another takes its place.
func (b *bundle) run(isSpare bool) {
	running := -1
	defer func() {
		if running >= 0 {
			var target wire.Address
			if batch, err := wire.ParseToFunction(b.requests[running], nil); err == nil {
				target = batch.Target
			}
			b.put(running, target, nil, errGoexit)
			go b.run(false)
		}
	}()
	for ; ; isSpare = false {
		index, ok := b.take(isSpare)
		if !ok {
			return
		}
		running = index
		target, reply, err := b.handler.invoke(b.ctx, b.requests[index])
		running = -1
		b.put(index, target, reply, err)
	}
}

// take returns the next index, and sees to it that somebody is there for the one after it.
func (b *bundle) take(isSpare bool) (int, bool) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if isSpare {
		b.spare--
	}
	if b.next == len(b.requests) || b.ctx.Err() != nil {
		return 0, false
	}
	index := b.next
	b.next++
	if b.spare == 0 && b.next < len(b.requests) && b.runners < b.handler.concurrencyMax {
		b.spare++
		b.runners++
		go b.run(true)
	}
	return index, true
}

func (b *bundle) put(index int, target wire.Address, reply []byte, err error) {
	var failure wire.Failure
	if err != nil {
		failure = b.handler.failures.answer(b.ctx, target, err)
		failure.Text = cut(failure.Text, wire.FailureTextMax)
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if err != nil {
		b.ready = wire.AppendFailure(b.ready, index, failure)
	} else {
		b.ready = wire.AppendReply(b.ready, index, reply)
	}
	b.left--
	if b.left == 0 {
		close(b.done)
		return
	}
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// write sends outcomes as they come. If all come at once, it is an answer of known length.
func (b *bundle) write(writer http.ResponseWriter) {
	if b.gather() {
		writeWhole(writer, bundles, b.outcomes())
		return
	}
	writer.Header().Set("Content-Type", bundles)
	response := http.NewResponseController(writer)
	for b.ctx.Err() == nil {
		isWhole := b.isDone()
		if _, err := writer.Write(b.outcomes()); err != nil || isWhole {
			return
		}
		// A writer that cannot flush sends everything when this returns.
		_ = response.Flush()
		b.gather()
	}
}

// gather waits for an outcome, and for those that follow closely. It returns whether all are there.
func (b *bundle) gather() bool {
	select {
	case <-b.done:
		return true
	case <-b.ctx.Done():
		return false
	case <-b.wake:
	}
	timer := time.NewTimer(gathering)
	defer timer.Stop()
	for waited := gathering; ; waited += gathering {
		select {
		case <-b.done:
			return true
		case <-b.ctx.Done():
			return false
		case <-timer.C:
		}
		if waited >= gatheringMax || b.isBegun() {
			return false
		}
		timer.Reset(gathering)
	}
}

// isBegun says whether somebody has begun with every batch: those that are left then have to wait for
// something.
func (b *bundle) isBegun() bool {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.next == len(b.requests)
}

func (b *bundle) isDone() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

// outcomes returns those that were not written yet.
func (b *bundle) outcomes() []byte {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	ready := b.ready
	b.ready = nil
	return ready
}
