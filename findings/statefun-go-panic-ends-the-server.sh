#!/usr/bin/env bash
# A function on the StateFun SDK for Go that panics with a text ends the whole server, and with it every other request.
#
# A good guess: as net/http does for its handlers, and as the SDK does for panic(err), a panic of one invocation is answered
# with the status 500 (or its connection is closed), and the server goes on.
# Found with statefun-sdk-go v3.3.0: a panic whose value is an error is answered with 500; with any other value, a text as
# in most panics that people write, the SDK calls log.Fatal, which ends the process at once.
#
# Seen:
#   panic(errors.New("out of cheese")): status 500, and the server answers with 200
#   panic("out of cheese"): no answer, and the server has ended with exit status 1
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOFLAGS=-mod=mod
go mod init try 2>/dev/null
go mod edit -require github.com/apache/flink-statefun/statefun-sdk-go/v3@v3.3.0 -require google.golang.org/protobuf@v1.36.6
cat > serve.go <<'GO'
package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/apache/flink-statefun/statefun-sdk-go/v3/pkg/statefun"
	"google.golang.org/protobuf/encoding/protowire"
)

func serve(address string) {
	functions := statefun.StatefulFunctionsBuilder()
	_ = functions.WithSpec(statefun.StatefulFunctionSpec{
		FunctionType: statefun.TypeNameFrom("try/it"),
		Function: statefun.StatefulFunctionPointer(func(ctx statefun.Context, _ statefun.Message) error {
			switch ctx.Self().Id {
			case "error":
				panic(errors.New("out of cheese"))
			case "text":
				panic("out of cheese")
			}
			return nil
		}),
	})
	_ = http.ListenAndServe(address, functions.AsHandler())
}

func field(to []byte, number protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, number, protowire.BytesType), content)
}

// status is that of one message to an id, 0 if there is no answer.
func status(address, id string) int {
	target := field(field(field(nil, 1, []byte("try")), 2, []byte("it")), 3, []byte(id))
	value := append(field(nil, 1, []byte("io.statefun.types/string")), 0x10, 1)
	request := field(nil, 100, field(field(nil, 1, target), 3, field(nil, 2, value)))
	answer, err := http.Post("http://"+address, "application/octet-stream", bytes.NewReader(request))
	if err != nil {
		return 0
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

func main() {
	if len(os.Args) > 1 {
		serve(os.Args[1])
		return
	}
	free, _ := net.Listen("tcp", "127.0.0.1:0")
	address := free.Addr().String()
	_ = free.Close()
	server := exec.Command(os.Args[0], address)
	_ = server.Start()
	for status(address, "well") != 200 {
		time.Sleep(20 * time.Millisecond)
	}
	first, after := status(address, "error"), status(address, "well")
	fmt.Printf("panic(errors.New(\"out of cheese\")): status %d, and the server answers with %d\n", first, after)
	second := status(address, "text")
	if second != 0 {
		fmt.Printf("panic(\"out of cheese\"): status %d\n", second)
		_ = server.Process.Kill()
		os.Exit(1)
	}
	_ = server.Wait()
	code := server.ProcessState.ExitCode()
	fmt.Printf("panic(\"out of cheese\"): no answer, and the server has ended with exit status %d\n", code)
	if first != 500 || after != 200 || code != 1 {
		os.Exit(1)
	}
}
GO
go build -o try . 2>/dev/null
./try
