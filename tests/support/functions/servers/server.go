// Go: answers every request with a fixed reply; `/slow` takes 20 ms. Arguments: port, reply in hex.
package main

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	reply, err := hex.DecodeString(os.Args[2])
	if err != nil {
		panic(err)
	}
	handle := func(response http.ResponseWriter, request *http.Request) {
		io.Copy(io.Discard, request.Body)
		if request.URL.Path == "/slow" {
			time.Sleep(20 * time.Millisecond)
		}
		response.Header().Set("Content-Type", "application/octet-stream")
		response.Write(reply)
	}
	server := &http.Server{
		Addr:        "127.0.0.1:" + os.Args[1],
		Handler:     http.HandlerFunc(handle),
		IdleTimeout: time.Second,
	}
	stopped := make(chan struct{})
	go func() {
		told := make(chan os.Signal, 1)
		signal.Notify(told, syscall.SIGTERM)
		<-told
		server.Shutdown(context.Background())
		close(stopped)
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		panic(err)
	}
	<-stopped
}
