package tests

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"statefun.internal/sdk-go/pkg/statefun"
)

const bundle = "application/vnd.statefun.bundle"

// An outcome of a bundle: a reply if its status is 0.
type outcome struct {
	index  int
	reply  []byte
	status int
	text   string
}

func readOutcome(t *testing.T, content []byte) (one outcome) {
	t.Helper()
	for len(content) > 0 {
		number, kind, n := protowire.ConsumeTag(content)
		content = content[n:]
		if kind == protowire.VarintType {
			value, n := protowire.ConsumeVarint(content)
			one.index, content = int(value), content[n:]
			continue
		}
		part, n := protowire.ConsumeBytes(content)
		if n < 0 {
			t.Fatalf("not an outcome: %x", content)
		}
		content = content[n:]
		if number == 2 {
			one.reply = part
			continue
		}
		_, _, n = protowire.ConsumeTag(part)
		status, m := protowire.ConsumeVarint(part[n:])
		one.status = int(status)
		if part = part[n+m:]; len(part) > 0 {
			text, _ := protowire.ConsumeBytes(part[1:])
			one.text = string(text)
		}
	}
	return one
}

func readOutcomes(t *testing.T, body []byte) map[int]outcome {
	t.Helper()
	found := map[int]outcome{}
	for len(body) > 0 {
		content, n := protowire.ConsumeBytes(body)
		if n < 0 {
			t.Fatalf("the answer breaks off: %x", body)
		}
		body = body[n:]
		one := readOutcome(t, content)
		if _, isThere := found[one.index]; isThere {
			t.Fatalf("index %d is there twice", one.index)
		}
		found[one.index] = one
	}
	return found
}

var seen = statefun.ValueSpec{Name: "seen", ValueType: statefun.Int32Type}

func count(ctx statefun.Context, message statefun.Message) error {
	var value int32
	ctx.Storage().Get(seen, &value)
	ctx.Storage().Set(seen, value+1)
	return nil
}

func fail(statefun.Context, statefun.Message) error { return errors.New("no such item") }

func TestBundlesAreAnsweredAsTheProtocolSays(t *testing.T) {
	handler := build(spec("golden/count", count, seen), spec("golden/fail", fail))
	for _, one := range table(t, "bundles.tsv") {
		if one["part"] != "server" {
			continue
		}
		t.Run(one["case"], func(t *testing.T) {
			answer := post(handler, bundle, unhex(t, one["request_hex"]))
			if strconv.Itoa(answer.Code) != one["status"] {
				t.Fatalf("status %d, not %s: %s", answer.Code, one["status"], answer.Body)
			}
			if answer.Code == http.StatusOK {
				if media := answer.Header().Get("Content-Type"); media != bundle {
					t.Errorf("the content type is %s", media)
				}
				checkOutcomes(t, one, readOutcomes(t, answer.Body.Bytes()))
			}
		})
	}
}

func checkOutcomes(t *testing.T, one row, found map[int]outcome) {
	t.Helper()
	if strconv.Itoa(len(found)) != one["count"] {
		t.Errorf("%d outcomes, not %s", len(found), one["count"])
	}
	for _, wanted := range strings.Fields(one["outcomes"]) {
		parts := strings.Split(wanted, ":")
		index, _ := strconv.Atoi(parts[0])
		got := found[index]
		if parts[1] == "reply" {
			reply := parts[2]
			if reply == "" {
				reply = "a20600"
			}
			if hex.EncodeToString(got.reply) != reply {
				t.Errorf("index %d: %x (%d %s), not %s", index, got.reply, got.status, got.text, reply)
			}
		} else if text := string(unhex(t, parts[3])); strconv.Itoa(got.status) != parts[2] || !strings.Contains(got.text, text) {
			t.Errorf("index %d: %d %q, not %s %q", index, got.status, got.text, parts[2], text)
		}
	}
}

// requestTo is a ToFunction with one message, a string.
func requestTo(name, id, text string) []byte {
	field := func(to []byte, number protowire.Number, content []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(to, number, protowire.BytesType), content)
	}
	address := field(field(field(nil, 1, []byte("test")), 2, []byte(name)), 3, []byte(id))
	value := field(nil, 1, []byte("io.statefun.types/string"))
	value = append(value, 0x10, 1)
	value = field(value, 3, field(nil, 1, []byte(text)))
	return field(nil, 100, field(field(nil, 1, address), 3, field(nil, 2, value)))
}

func bundleOf(requests ...[]byte) []byte {
	var body []byte
	for _, request := range requests {
		body = protowire.AppendBytes(body, request)
	}
	return body
}

func TestBundlesAreOfferedToWhoAsksForThem(t *testing.T) {
	handler := build(spec("test/quiet", func(statefun.Context, statefun.Message) error { return nil }))
	for offer, wanted := range map[string]string{"": "", "1": "1", "2": "", "2, 1": "1", "one": ""} {
		answer := post(handler, "application/octet-stream", requestTo("quiet", "a", ""), "StateFun-Bundle", offer)
		if got := answer.Header().Get("StateFun-Bundle"); got != wanted || answer.Code != http.StatusOK {
			t.Errorf("to %q the answer is %q, not %q", offer, got, wanted)
		}
	}
}

// A gate holds up what is called with its id until it is opened.
type gate struct {
	held string
	open chan struct{}
}

func (g *gate) pass(ctx statefun.Context, message statefun.Message) error {
	if ctx.Self().Id == g.held {
		<-g.open
	}
	return nil
}

func TestASlowAddressHoldsUpNoOther(t *testing.T) {
	gate := &gate{held: "slow", open: make(chan struct{})}
	server := httptest.NewServer(build(spec("test/gate", gate.pass)))
	defer server.Close()
	requests := [][]byte{requestTo("gate", "slow", "")}
	for i := range 20 {
		requests = append(requests, requestTo("gate", fmt.Sprint("fast", i), ""))
	}
	answer, err := http.Post(server.URL, bundle, bytes.NewReader(bundleOf(requests...)))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	stream := bufio.NewReader(answer.Body)
	for range 20 {
		if one := nextOutcome(t, stream); one.index == 0 || one.status != 0 {
			t.Fatalf("outcome %+v", one)
		}
	}
	close(gate.open)
	if one := nextOutcome(t, stream); one.index != 0 {
		t.Errorf("the last outcome is of %d", one.index)
	}
	if rest, err := io.ReadAll(stream); len(rest) > 0 || err != nil {
		t.Errorf("then %x, %v", rest, err)
	}
}

func nextOutcome(t *testing.T, stream *bufio.Reader) outcome {
	t.Helper()
	var size, shift uint64
	for {
		next, err := stream.ReadByte()
		if err != nil {
			t.Fatal(err)
		}
		size |= uint64(next&0x7f) << shift
		if shift += 7; next < 0x80 {
			break
		}
	}
	content := make([]byte, size)
	if _, err := io.ReadFull(stream, content); err != nil {
		t.Fatal(err)
	}
	return readOutcome(t, content)
}

func TestAsManyRunAtOnceAsTheLimitSaysAndNoMore(t *testing.T) {
	var mutex sync.Mutex
	running, most, open := 0, 0, make(chan struct{})
	var once sync.Once
	change := func(by int) {
		mutex.Lock()
		defer mutex.Unlock()
		running += by
		if most = max(most, running); running == 3 {
			once.Do(func() { close(open) })
		}
	}
	builder := statefun.StatefulFunctionsBuilder()
	_ = builder.WithSpec(spec("test/wait", func(statefun.Context, statefun.Message) error {
		change(+1)
		defer change(-1)
		// Until three are inside; were it less at once, it would be for ever.
		<-open
		time.Sleep(time.Millisecond)
		return nil
	}))
	var requests [][]byte
	for range 9 {
		requests = append(requests, requestTo("wait", "a", ""))
	}
	handler := statefun.HandlerWith(builder, statefun.Options{ConcurrencyMax: 3})
	found := readOutcomes(t, post(handler, bundle, bundleOf(requests...)).Body.Bytes())
	if len(found) != 9 || most != 3 {
		t.Errorf("%d outcomes, %d at once", len(found), most)
	}
}

func TestWhatOneFunctionDoesToItselfIsToldAndTouchesNoOther(t *testing.T) {
	builder := statefun.StatefulFunctionsBuilder()
	_ = builder.WithSpec(spec("test/rude", rude))
	for _, limit := range []int{0, 1} {
		checkRude(t, statefun.HandlerWith(builder, statefun.Options{ConcurrencyMax: limit}))
	}
}

func rude(ctx statefun.Context, message statefun.Message) error {
	switch message.AsString() {
	case "panic":
		panic("a text")
	case "index":
		return fmt.Errorf("%d", []int{}[len(message.AsString())])
	case "exit":
		runtime.Goexit()
	case "send":
		ctx.Send(statefun.MessageBuilder{})
	case "long":
		return errors.New(strings.Repeat("é", 5000))
	}
	return nil
}

func checkRude(t *testing.T, handler http.Handler) {
	t.Helper()
	texts := []string{"", "panic", "index", "exit", "send", "long", "", "exit", ""}
	var requests [][]byte
	for i, text := range texts {
		requests = append(requests, requestTo("rude", fmt.Sprint(i), text))
	}
	found := readOutcomes(t, post(handler, bundle, bundleOf(requests...)).Body.Bytes())
	wanted := map[string]string{
		"":      "",
		"panic": "panic: a text",
		"index": "panic: runtime error: index out of range [5] with length 0",
		"exit":  "the function ended its goroutine with runtime.Goexit",
		"send":  "a message needs a target with a function type and an id; it is Address(, , )",
		"long":  strings.Repeat("é", 1000) + "… (5000 characters)",
	}
	for i, text := range texts {
		if found[i].text != wanted[text] || (found[i].status == 500) != (text != "") {
			t.Errorf("%s: %d %q", text, found[i].status, found[i].text)
		}
	}
}

func TestAStackInABundleIsNotLongerThanAFailureMayBe(t *testing.T) {
	var deep func(int)
	deep = func(left int) {
		if left == 0 {
			panic("é")
		}
		deep(left - 1)
	}
	builder := statefun.StatefulFunctionsBuilder()
	_ = builder.WithSpec(spec("test/deep", func(statefun.Context, statefun.Message) error {
		deep(100)
		return nil
	}))
	handler := statefun.HandlerWith(builder, statefun.Options{ShowStacks: true})
	one := readOutcomes(t, post(handler, bundle, bundleOf(requestTo("deep", "a", ""))).Body.Bytes())[0]
	if len(one.text) > 4096 || len(one.text) < 4000 || !strings.HasPrefix(one.text, "panic: é\n\npanic(") {
		t.Errorf("%d bytes: %s", len(one.text), one.text)
	}
}
