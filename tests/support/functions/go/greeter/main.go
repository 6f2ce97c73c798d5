// The greeter of examples/greeter, on the SDK for Go, with a function that fails and one that is slow. The first
// argument is the port.
package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"statefun.internal/sdk-go/pkg/statefun"
)

type greetRequest struct {
	Name   string `json:"name"`
	Visits int32  `json:"visits"`
}

type record struct {
	Topic   string `json:"topic"`
	Payload string `json:"payload"`
}

var (
	visits      = statefun.ValueSpec{Name: "visits", ValueType: statefun.Int32Type}
	greeterType = statefun.TypeNameFrom("example/greeter")
	requestType = statefun.MakeJsonType(statefun.TypeNameFrom("example/GreetRequest"))
	recordType  = statefun.MakeJsonType(statefun.TypeNameFrom("io.statefun.playground/EgressRecord"))
)

func person(ctx statefun.Context, message statefun.Message) error {
	var request greetRequest
	if err := message.As(requestType, &request); err != nil {
		return err
	}
	ctx.Storage().Get(visits, &request.Visits)
	request.Visits++
	ctx.Storage().Set(visits, request.Visits)
	target := statefun.Address{FunctionType: greeterType, Id: request.Name}
	ctx.Send(statefun.MessageBuilder{Target: target, Value: request, ValueType: requestType})
	return nil
}

func greeter(ctx statefun.Context, message statefun.Message) error {
	var request greetRequest
	if err := message.As(requestType, &request); err != nil {
		return err
	}
	ctx.SendEgress(statefun.GenericEgressBuilder{
		Target:    statefun.TypeNameFrom("io.statefun.playground/egress"),
		Value:     record{"greetings", greeting(request)},
		ValueType: recordType,
	})
	return nil
}

func greeting(request greetRequest) string {
	switch request.Visits {
	case 1:
		return "Welcome " + request.Name
	case 2:
		return "Nice to see you again " + request.Name
	case 3:
		return "Third time is a charm " + request.Name
	}
	return fmt.Sprintf("Nice to see you at the %d-nth time %s!", request.Visits, request.Name)
}

func raising(ctx statefun.Context, _ statefun.Message) error {
	switch ctx.Self().Id {
	case "bad":
		return errors.New("no customer 'bad'")
	case "panic":
		panic("out of cheese")
	}
	return nil
}

func slow(statefun.Context, statefun.Message) error {
	time.Sleep(20 * time.Millisecond)
	return nil
}

func main() {
	functions := statefun.StatefulFunctionsBuilder()
	for _, spec := range []statefun.StatefulFunctionSpec{
		{FunctionType: statefun.TypeNameFrom("example/person"), States: []statefun.ValueSpec{visits}, Function: statefun.StatefulFunctionPointer(person)},
		{FunctionType: greeterType, Function: statefun.StatefulFunctionPointer(greeter)},
		{FunctionType: statefun.TypeNameFrom("t/raising"), Function: statefun.StatefulFunctionPointer(raising)},
		{FunctionType: statefun.TypeNameFrom("t/slow"), Function: statefun.StatefulFunctionPointer(slow)},
	} {
		if err := functions.WithSpec(spec); err != nil {
			log.Fatal(err)
		}
	}
	if err := statefun.ListenAndServe("127.0.0.1:"+os.Args[1], functions.AsHandler()); err != nil {
		log.Fatal(err)
	}
}
