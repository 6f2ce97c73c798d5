// What each SDK does: a message says what to try. Compiled against the stock SDK for Go and against ours.
// usage: matrix PORT
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"SDK/pkg/statefun"
)

var (
	out      = statefun.TypeNameFrom("matrix/out")
	kafka    = statefun.TypeNameFrom("matrix/kafka")
	plain    = statefun.TypeNameFrom("matrix/plain")
	to       = statefun.Address{FunctionType: plain, Id: "other"}
	n        = statefun.ValueSpec{Name: "n", ValueType: statefun.Int32Type}
	t        = statefun.ValueSpec{Name: "t", ValueType: statefun.StringType, Expiration: statefun.ExpireAfterWrite(time.Hour)}
	j        = statefun.ValueSpec{Name: "j", ValueType: statefun.MakeJsonType(statefun.TypeNameFrom("matrix/json")), Expiration: statefun.ExpireAfterCall(time.Hour)}
	b        = statefun.ValueSpec{Name: "b", ValueType: statefun.BoolType}
	l        = statefun.ValueSpec{Name: "l", ValueType: statefun.Int64Type}
	d        = statefun.ValueSpec{Name: "d", ValueType: statefun.Float64Type}
	strange  = statefun.ValueSpec{Name: "undeclared", ValueType: statefun.Int32Type}
	lateness = make(chan string, 1)
)

type list struct {
	Items []string `json:"items"`
}

func tell(ctx statefun.Context, value interface{}) {
	text, isText := value.(string)
	if !isText {
		written, _ := json.Marshal(value)
		text = string(written)
	}
	ctx.SendEgress(statefun.GenericEgressBuilder{Target: out, Value: text, ValueType: statefun.StringType})
}

func command(message statefun.Message) (string, string) {
	name, value, _ := strings.Cut(message.AsString(), " ")
	return name, value
}

func read(ctx statefun.Context, name string) {
	var isThere bool
	var value interface{}
	switch name {
	case "n", "undeclared":
		var number int32
		isThere = ctx.Storage().Get(map[string]statefun.ValueSpec{"n": n, "undeclared": strange}[name], &number)
		value = number
	case "t":
		var text string
		isThere = ctx.Storage().Get(t, &text)
		value = text
	case "j":
		isThere = ctx.Storage().Get(j, &value)
	case "b":
		var truth bool
		isThere = ctx.Storage().Get(b, &truth)
		value = truth
	case "l":
		var number int64
		isThere = ctx.Storage().Get(l, &number)
		value = number
	case "d":
		var number float64
		isThere = ctx.Storage().Get(d, &number)
		value = number
	}
	if isThere {
		tell(ctx, value)
	} else {
		tell(ctx, nil)
	}
}

func states(ctx statefun.Context, message statefun.Message) error {
	name, value := command(message)
	storage := ctx.Storage()
	switch name {
	case "read":
		read(ctx, value)
	case "n":
		if number, err := strconv.ParseInt(value, 10, 32); err == nil {
			storage.Set(n, int32(number))
		} else if number, err := strconv.ParseInt(value, 10, 64); err == nil {
			storage.Set(n, number)
		} else if value == "NaN" {
			storage.Set(n, math.NaN())
		} else {
			storage.Set(n, 1.5)
		}
	case "n-text":
		storage.Set(n, "many")
	case "t":
		storage.Set(t, value)
	case "t-empty":
		storage.Set(t, "")
	case "t-number":
		storage.Set(t, 5)
	case "t-half":
		storage.Set(t, "a\xff")
	case "j-nan":
		storage.Set(j, map[string]float64{"total": math.NaN()})
	case "j-within":
		var cart list
		storage.Get(j, &cart)
		cart.Items = append(cart.Items, "pear")
	case "b-number":
		storage.Set(b, 2)
	case "delete":
		storage.Remove(n)
	case "none":
		storage.Set(n, nil)
	case "undeclared":
		storage.Set(strange, int32(1))
	}
	return nil
}

func wide(ctx statefun.Context, message statefun.Message) error {
	name, value := command(message)
	switch name {
	case "read":
		read(ctx, value)
	case "l":
		number, _ := strconv.ParseInt(value, 10, 64)
		ctx.Storage().Set(l, number)
	case "d":
		number, _ := strconv.ParseFloat(value, 64)
		ctx.Storage().Set(d, number)
	}
	return nil
}

func argument(ctx statefun.Context, message statefun.Message) error {
	tell(ctx, message.AsString())
	return nil
}

func sendLate(ctx statefun.Context) {
	defer func() {
		if recover() != nil {
			lateness <- "refused"
		}
	}()
	time.Sleep(50 * time.Millisecond)
	var told strings.Builder
	log.SetOutput(&told)
	defer log.SetOutput(os.Stderr)
	ctx.Send(statefun.MessageBuilder{Target: to, Value: "late"})
	if strings.Contains(told.String(), "dropped") {
		lateness <- "lost, and logged"
		return
	}
	lateness <- "lost without a word"
}

func plainly(ctx statefun.Context, message statefun.Message) error {
	name, value := command(message)
	x := statefun.MessageBuilder{Target: to, Value: "x"}
	switch name {
	case "caller":
		if ctx.Caller() == nil {
			tell(ctx, nil)
		} else {
			tell(ctx, fmt.Sprintf("%s/%s", ctx.Caller().FunctionType, ctx.Caller().Id))
		}
	case "reply":
		ctx.Send(statefun.MessageBuilder{Target: *ctx.Caller(), Value: "x"})
	case "send":
		ctx.Send(x)
	case "send-nothing":
		ctx.Send(statefun.MessageBuilder{Target: to})
	case "send-empty-id":
		ctx.Send(statefun.MessageBuilder{Target: statefun.Address{FunctionType: plain}, Value: "x"})
	case "send-number-id":
		tell(ctx, "does not compile")
	case "send-large":
		ctx.Send(statefun.MessageBuilder{Target: to, Value: int(1 << 31)})
	case "after":
		ms, _ := strconv.ParseFloat(value, 64)
		ctx.SendAfter(time.Duration(ms*float64(time.Millisecond)), x)
	case "token", "token-empty":
		token, err := statefun.NewCancellationToken(value)
		if err != nil {
			return err
		}
		ctx.SendAfterWithCancellationToken(time.Second, token, x)
	case "cancel", "cancel-empty":
		token, err := statefun.NewCancellationToken(value)
		if err != nil {
			return err
		}
		ctx.CancelDelayedMessage(token)
	case "kafka":
		ctx.SendEgress(statefun.KafkaEgressBuilder{Target: kafka, Topic: "t", Value: "v"})
	case "kafka-int":
		ctx.SendEgress(statefun.KafkaEgressBuilder{Target: kafka, Topic: "t", Key: "k", Value: int32(1)})
	case "boom":
		panic(errors.New("boom"))
	case "boom-later":
		return errors.New("boom")
	case "late":
		go sendLate(ctx)
	case "late?":
		tell(ctx, <-lateness)
	}
	return nil
}

func main() {
	builder := statefun.StatefulFunctionsBuilder()
	for _, spec := range []statefun.StatefulFunctionSpec{
		{FunctionType: statefun.TypeNameFrom("matrix/states"), States: []statefun.ValueSpec{n, t, j, b}, Function: statefun.StatefulFunctionPointer(states)},
		{FunctionType: statefun.TypeNameFrom("matrix/wide"), States: []statefun.ValueSpec{l, d}, Function: statefun.StatefulFunctionPointer(wide)},
		{FunctionType: statefun.TypeNameFrom("matrix/argument"), Function: statefun.StatefulFunctionPointer(argument)},
		{FunctionType: plain, Function: statefun.StatefulFunctionPointer(plainly)},
	} {
		if err := builder.WithSpec(spec); err != nil {
			panic(err)
		}
	}
	http.Handle("/", builder.AsHandler())
	if err := http.ListenAndServe("127.0.0.1:"+os.Args[1], nil); err != nil {
		panic(err)
	}
}
