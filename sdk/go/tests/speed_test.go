package tests

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"statefun.internal/sdk-go/pkg/statefun"
)

var counted = statefun.ValueSpec{Name: "s", ValueType: statefun.Int32Type}

// speedy has a state and sends a record: what a small function does.
func speedy(ctx statefun.Context, message statefun.Message) error {
	var value int32
	ctx.Storage().Get(counted, &value)
	ctx.Storage().Set(counted, value+1)
	ctx.SendEgress(statefun.KafkaEgressBuilder{
		Target: kafka.Target, Topic: "out", Key: ctx.Self().Id, Value: message.RawValue(),
	})
	return nil
}

func speedyBundle(count int) []byte {
	request := withState("s", "io.statefun.types/int", []byte{0x0d, 1, 0, 0, 0})
	var body []byte
	for range count {
		body = protowire.AppendBytes(body, request)
	}
	return body
}

// cpu reports the processor's time, which other programs on the machine do not count into.
func cpu(b *testing.B) func() {
	used := func() int64 {
		var usage syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
		return usage.Utime.Nano() + usage.Stime.Nano()
	}
	began := used()
	return func() { b.ReportMetric(float64(used()-began)/float64(b.N), "cpu-ns/op") }
}

// The time of an operation is that of one message.
func BenchmarkAMessageOfABundle(b *testing.B) {
	for _, size := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			server := httptest.NewServer(build(spec("test/one", speedy, counted)))
			defer server.Close()
			body := speedyBundle(size)
			b.ReportAllocs()
			b.ResetTimer()
			defer cpu(b)()
			for sent := 0; sent < b.N; sent += size {
				answer, err := http.Post(server.URL, bundle, bytes.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, answer.Body); err != nil {
					b.Fatal(err)
				}
				_ = answer.Body.Close()
			}
		})
	}
}

func BenchmarkAMessageWithoutItsConnection(b *testing.B) {
	handler := build(spec("test/one", speedy, counted))
	body := speedyBundle(1000)
	b.ReportAllocs()
	b.ResetTimer()
	defer cpu(b)()
	for sent := 0; sent < b.N; sent += 1000 {
		post(handler, bundle, body)
	}
}
