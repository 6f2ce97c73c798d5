// What tests/bench/fnserver.c does, on the SDK for Go: the argument is the port, the topic comes from the environment.
package main

import (
	"log"
	"os"
	"strconv"

	"statefun.internal/sdk-go/pkg/statefun"
)

var (
	topic = os.Getenv("BENCH_TOPIC")
	out   = statefun.TypeNameFrom("demo.io/out")
	seen  = statefun.ValueSpec{Name: "seen", ValueType: statefun.Int32Type}
)

func greet(ctx statefun.Context, message statefun.Message) error {
	var count int32
	ctx.Storage().Get(seen, &count)
	count++
	ctx.Storage().Set(seen, count)
	value := append(strconv.AppendInt(nil, int64(count), 10), ';')
	ctx.SendEgress(statefun.KafkaEgressBuilder{
		Target: out, Topic: topic, Key: ctx.Self().Id, Value: append(value, message.RawValue()...),
	})
	return nil
}

func main() {
	functions := statefun.StatefulFunctionsBuilder()
	err := functions.WithSpec(statefun.StatefulFunctionSpec{
		FunctionType: statefun.TypeNameFrom("demo/greeter"),
		States:       []statefun.ValueSpec{seen},
		Function:     statefun.StatefulFunctionPointer(greet),
	})
	if err == nil {
		err = statefun.ListenAndServe("127.0.0.1:"+os.Args[1], functions.AsHandler())
	}
	if err != nil {
		log.Fatal(err)
	}
}
