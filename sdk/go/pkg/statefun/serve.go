package statefun

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"statefun.internal/sdk-go/internal/serving"
)

// ListenAndServe serves a handler until SIGTERM or SIGINT, and then leaves in a way that fails no
// request: it takes no more connections, answers what comes on those that are there for a second, and
// returns nil when everything is answered. GET /healthz is answered, too.
//
// A handler works with every other server of net/http as well.
func ListenAndServe(address string, handler http.Handler) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return serving.Serve(ctx, listener, handler)
}
