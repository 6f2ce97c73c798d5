package serving

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"
)

// ask sends a request on a connection, and returns the answer's status and whether it will be closed.
func ask(t *testing.T, connection net.Conn, line string) (status int, isLast bool) {
	t.Helper()
	_, _ = fmt.Fprintf(connection, "%s HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n\r\n", line)
	answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode, answer.Close
}

func TestAServerThatLeavesAnswersWhatIsAskedOfItAndTakesNoMore(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	arrived, proceed := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		if request.URL.Path == "/slow" {
			close(arrived)
			<-proceed
		}
	})
	ctx, leave := context.WithCancel(context.Background())
	served := make(chan error, 1)
	// On a busy machine the test may take longer than connections usually get.
	patient := &server{handler: handler, leaveTime: time.Minute}
	go func() { served <- patient.serve(ctx, listener) }()

	idle, slow := dial(t, listener), dial(t, listener)
	if status, isLast := ask(t, idle, "GET /healthz"); status != 200 || isLast {
		t.Errorf("before: %d, %v", status, isLast)
	}
	answered := make(chan int)
	go func() {
		status, _ := ask(t, slow, "POST /slow")
		answered <- status
	}()
	<-arrived
	leave()
	waitUntilClosed(t, listener)
	if status, isLast := ask(t, idle, "GET /healthz"); status != 503 || !isLast {
		t.Errorf("while it leaves: %d, %v", status, isLast)
	}
	close(proceed)
	if status := <-answered; status != 200 {
		t.Errorf("what was under way: %d", status)
	}
	_ = slow.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func dial(t *testing.T, listener net.Listener) net.Conn {
	t.Helper()
	connection, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

func waitUntilClosed(t *testing.T, listener net.Listener) {
	t.Helper()
	for ends := time.Now().Add(5 * time.Second); time.Now().Before(ends); time.Sleep(pollTime) {
		connection, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			return
		}
		_ = connection.Close()
	}
	t.Fatal("the server still takes connections")
}
