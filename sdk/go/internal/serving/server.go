package serving

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// leaveTime is how long connections that are there may bring requests after the end was asked for.
	leaveTime = time.Second
	// finishTime is how long requests may then take until they are cut.
	finishTime = 30 * time.Second
	pollTime   = 10 * time.Millisecond
)

// Serve answers on a listener until the context ends. Then it takes no more connections, answers what
// comes on those that are there with Connection: close, and returns when everything is answered.
//
// http.Server's own Shutdown closes connections that are idle just then, and a runtime whose request
// is under way on one of them counts a failure.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	return (&server{handler: handler, leaveTime: leaveTime}).serve(ctx, listener)
}

type server struct {
	handler   http.Handler
	leaveTime time.Duration
	isLeaving atomic.Bool
	open      atomic.Int64
}

func (s *server) serve(ctx context.Context, listener net.Listener) error {
	web := &http.Server{Handler: s, ConnState: s.count}
	served := make(chan error, 1)
	go func() { served <- web.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	s.isLeaving.Store(true)
	_ = listener.Close()
	for ends := time.Now().Add(s.leaveTime); s.open.Load() > 0 && time.Now().Before(ends); {
		time.Sleep(pollTime)
	}
	finish, cancel := context.WithTimeout(context.Background(), finishTime)
	defer cancel()
	if err := web.Shutdown(finish); err != nil {
		return errors.Join(err, web.Close())
	}
	return nil
}

func (s *server) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.open.Add(-1)
	}
}

func (s *server) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	isLeaving := s.isLeaving.Load()
	if isLeaving {
		writer.Header().Set("Connection", "close")
	}
	if request.Method == http.MethodGet && request.URL.Path == "/healthz" {
		if isLeaving {
			writer.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(writer, "here\n")
		return
	}
	s.handler.ServeHTTP(writer, request)
}
