#!/usr/bin/env bash
# The StateFun SDK for Go reads a text as the number 0, from a message and from a state, and says that it was there.
#
# A good guess: message.AsInt32() of a message that holds a text panics, as it does where the bytes cannot be read
# at all, and so does Storage().Get(spec, &number) of a state that holds a text: the name of the type is there.
# Found with statefun-sdk-go v3.3.0: neither compares the name of the type, and the bytes of a text have no field that the
# message of an int has, so that protobuf finds nothing wrong. A function that then writes the state back has lost it.
#
# Seen:
#   message "hello" as an int32: 0, no panic
#   state "hello" as an int32: 0, and there is one: true
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOFLAGS=-mod=mod
go mod init try 2>/dev/null
go mod edit -require github.com/apache/flink-statefun/statefun-sdk-go/v3@v3.3.0 -require google.golang.org/protobuf@v1.36.6
cat > try.go <<'GO'
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/apache/flink-statefun/statefun-sdk-go/v3/pkg/statefun"
	"google.golang.org/protobuf/encoding/protowire"
)

func field(to []byte, number protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, number, protowire.BytesType), content)
}

func main() {
	log.SetOutput(io.Discard)
	count := statefun.ValueSpec{Name: "count", ValueType: statefun.Int32Type}
	right := false
	functions := statefun.StatefulFunctionsBuilder()
	_ = functions.WithSpec(statefun.StatefulFunctionSpec{
		FunctionType: statefun.TypeNameFrom("try/it"),
		States:       []statefun.ValueSpec{count},
		Function: statefun.StatefulFunctionPointer(func(ctx statefun.Context, message statefun.Message) error {
			number := message.AsInt32()
			fmt.Printf("message \"hello\" as an int32: %d, no panic\n", number)
			state := int32(7)
			isThere := ctx.Storage().Get(count, &state)
			fmt.Printf("state \"hello\" as an int32: %d, and there is one: %v\n", state, isThere)
			right = number == 0 && state == 0 && isThere
			return nil
		}),
	})
	target := field(field(field(nil, 1, []byte("try")), 2, []byte("it")), 3, []byte("id"))
	text := append(field(nil, 1, []byte("io.statefun.types/string")), 0x10, 1)
	text = field(text, 3, field(nil, 1, []byte("hello")))
	state := field(field(nil, 1, []byte("count")), 2, text)
	request := field(nil, 100, field(field(field(nil, 1, target), 2, state), 3, field(nil, 2, text)))
	if _, err := functions.AsHandler().Invoke(context.Background(), request); err != nil || !right {
		fmt.Println(err)
		os.Exit(1)
	}
}
GO
go build -o try . 2>/dev/null
./try
