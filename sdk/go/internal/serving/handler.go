// Package serving answers the requests of a runtime over HTTP, one address or many at a time.
package serving

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"statefun.internal/sdk-go/internal/wire"
)

const (
	octets      = "application/octet-stream"
	bundles     = "application/vnd.statefun.bundle"
	bundleOffer = "Statefun-Bundle"
	version     = "1"

	// As much is set aside for a body as its length says, up to this; beyond it grows as bytes come.
	preallocatedMax = 1 << 20
)

// Functions is what a handler calls.
type Functions interface {
	// Names are strings that requests often have.
	Names() wire.Names
	// Invoke runs one batch and returns its FromFunction.
	Invoke(ctx context.Context, batch *wire.Batch) ([]byte, error)
}

// Options of a handler; the zero value is what most want.
type Options struct {
	// ShowStacks puts the stack of a panic into the answer, too. It is always in the log.
	ShowStacks bool
	// ConcurrencyMax is how many addresses of one bundle run at the same time; 0 is 4,096.
	ConcurrencyMax int
}

// A Handler serves functions.
type Handler struct {
	functions      Functions
	failures       failures
	concurrencyMax int
}

// NewHandler returns a handler of these functions.
func NewHandler(functions Functions, options Options) *Handler {
	concurrencyMax := options.ConcurrencyMax
	if concurrencyMax <= 0 {
		concurrencyMax = 4096
	}
	return &Handler{
		functions:      functions,
		failures:       failures{showStacks: options.ShowStacks},
		concurrencyMax: concurrencyMax,
	}
}

// Invoke answers one request that did not come over HTTP, as in AWS Lambda.
func (h *Handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	_, reply, err := h.invoke(ctx, payload)
	return reply, err
}

// invoke runs one request. A panic of a function is an error like another.
func (h *Handler) invoke(
	ctx context.Context, request []byte,
) (target wire.Address, reply []byte, err error) {
	defer func() {
		if value := recover(); value != nil {
			err = recovered(value)
		}
	}()
	batch, err := wire.ParseToFunction(request, h.functions.Names())
	if err != nil {
		return target, nil, err
	}
	target = batch.Target
	reply, err = h.functions.Invoke(ctx, batch)
	return target, reply, err
}

// ServeHTTP answers a request of a runtime.
func (h *Handler) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	if request.Method != http.MethodPost {
		writer.Header().Set("Allow", http.MethodPost)
		http.Error(writer, "a runtime asks with POST", http.StatusMethodNotAllowed)
		return
	}
	media, _, _ := strings.Cut(request.Header.Get("Content-Type"), ";")
	media = strings.TrimSpace(media)
	switch {
	case media == "" || strings.EqualFold(media, octets):
		if body, ok := read(writer, request); ok {
			h.serveOne(writer, request, body)
		}
	case strings.EqualFold(media, bundles):
		if body, ok := read(writer, request); ok {
			h.serveBundle(writer, request, body)
		}
	default:
		text := fmt.Sprintf("the content type is %s, not %s", media, octets)
		http.Error(writer, text, http.StatusUnsupportedMediaType)
	}
}

func read(writer http.ResponseWriter, request *http.Request) ([]byte, bool) {
	if request.Body == nil || request.ContentLength == 0 {
		http.Error(writer, "the request has no body", http.StatusBadRequest)
		return nil, false
	}
	var body bytes.Buffer
	if request.ContentLength > 0 {
		// One byte more than there is: else reading on to the end would make it twice as large.
		body.Grow(int(min(request.ContentLength, preallocatedMax)) + bytes.MinRead)
	}
	_, err := body.ReadFrom(request.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		return body.Bytes(), true
	case errors.As(err, &tooLarge):
		http.Error(writer, err.Error(), http.StatusRequestEntityTooLarge)
	default:
		http.Error(writer, "the body did not come: "+err.Error(), http.StatusBadRequest)
	}
	return nil, false
}

func (h *Handler) serveOne(writer http.ResponseWriter, request *http.Request, body []byte) {
	target, reply, err := h.invoke(request.Context(), body)
	if err != nil {
		failure := h.failures.answer(request.Context(), target, err)
		http.Error(writer, failure.Text, failure.Status)
		return
	}
	if offersBundles(request) {
		writer.Header().Set(bundleOffer, version)
	}
	writeWhole(writer, octets, reply)
}

func writeWhole(writer http.ResponseWriter, media string, body []byte) {
	writer.Header().Set("Content-Type", media)
	writer.Header().Set("Content-Length", strconv.Itoa(len(body)))
	// A client that is gone is asked no more: the runtime sends its batch again.
	_, _ = writer.Write(body)
}

func offersBundles(request *http.Request) bool {
	for _, value := range request.Header[bundleOffer] {
		for _, offer := range strings.Split(value, ",") {
			if strings.TrimSpace(offer) == version {
				return true
			}
		}
	}
	return false
}
