// Package tests holds what is tested from outside, with the files that the whole project shares.
package tests

import (
	"bytes"
	"context"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"sort"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"statefun.internal/sdk-go/pkg/statefun"
)

const golden = "../../../tests/conformance/golden/"

// A row of a table, by the names of its columns.
type row map[string]string

func table(t *testing.T, name string) []row {
	t.Helper()
	text, err := os.ReadFile(golden + name)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	columns := strings.Split(lines[0], "\t")
	var rows []row
	for _, line := range lines[1:] {
		one := row{}
		for i, cell := range strings.Split(line, "\t") {
			one[columns[i]] = cell
		}
		rows = append(rows, one)
	}
	return rows
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	if text == "-" {
		return nil
	}
	decoded, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}

func post(handler http.Handler, media string, body []byte, headers ...string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodPost, "/statefun", bytes.NewReader(body))
	request.Header.Set("Content-Type", media)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	return answer
}

// listsOf returns a FromFunction as its kind and, for each list in it, the items in their order.
// Between lists there is no order.
func listsOf(t *testing.T, reply []byte) []string {
	t.Helper()
	var found []string
	lists := map[protowire.Number][]string{}
	for len(reply) > 0 {
		kind, _, n := protowire.ConsumeTag(reply)
		content, m := protowire.ConsumeBytes(reply[max(n, 0):])
		if n < 0 || m < 0 {
			t.Fatalf("not a FromFunction: %x", reply)
		}
		reply = reply[n+m:]
		found = append(found, "kind "+strconv.Itoa(int(kind)))
		for len(content) > 0 {
			number, _, n := protowire.ConsumeTag(content)
			item, m := protowire.ConsumeBytes(content[n:])
			content = content[n+m:]
			lists[number] = append(lists[number], hex.EncodeToString(item))
		}
	}
	for number, items := range lists {
		found = append(found, strconv.Itoa(int(number))+": "+strings.Join(items, " "))
	}
	sort.Strings(found)
	return found
}

// What a web server answers by itself, and a request whose recording is cut.
var leftOut = map[string]string{
	"put_instead_of_post": "a method", "get_method": "a method", "big_2MiB": "cut", "empty_body": "no body",
}

func TestTheAnswersAreThoseOfTheStockPythonSdk(t *testing.T) {
	handlers := map[string]http.Handler{
		"kitchen": build(spec("conf/kitchen", kitchen, stateA, stateB, stateC, stateD)),
		"greeter": build(spec("example/person", person, visits), spec("example/greeter", greeter)),
	}
	count := 0
	for _, one := range table(t, "golden_cases.tsv") {
		if one["sdk"] != "python-3.3.0" || leftOut[one["case"]] != "" {
			continue
		}
		count++
		t.Run(one["app"]+" "+one["case"], func(t *testing.T) {
			answer := post(handlers[one["app"]], "application/octet-stream", unhex(t, one["request_hex"]))
			if one["http_status"] == "500" {
				checkFailure(t, one["case"], answer)
				return
			}
			if answer.Code != http.StatusOK {
				t.Fatalf("status %d: %s", answer.Code, answer.Body)
			}
			checkReply(t, answer.Body.Bytes(), unhex(t, one["response_hex"]))
		})
	}
	if count != 49 {
		t.Errorf("%d rows were replayed, not 49", count)
	}
}

func checkFailure(t *testing.T, name string, answer *httptest.ResponseRecorder) {
	t.Helper()
	status := http.StatusInternalServerError
	if name == "unknown_function" {
		status = http.StatusNotFound
	}
	if answer.Code != status || answer.Body.Len() < 4 {
		t.Errorf("status %d: %s", answer.Code, answer.Body)
	}
}

func checkReply(t *testing.T, found, wanted []byte) {
	t.Helper()
	if len(wanted) == 0 {
		// Python writes nothing where nothing is to be said; Go, like JavaScript, an empty result.
		wanted = []byte{0xa2, 0x06, 0x00}
	}
	lists := listsOf(t, wanted)
	if got := listsOf(t, found); strings.Join(got, "\n") != strings.Join(lists, "\n") {
		t.Errorf("found\n%s\nwanted\n%s", strings.Join(got, "\n"), strings.Join(lists, "\n"))
	}
	// One list, and the kind.
	if len(lists) <= 2 && !bytes.Equal(found, wanted) {
		t.Errorf("found %x, wanted %x", found, wanted)
	}
}

func TestLambdaGetsTheSameBytes(t *testing.T) {
	handler := build(spec("conf/kitchen", kitchen, stateA, stateB, stateC, stateD))
	for _, one := range table(t, "golden_cases.tsv") {
		if one["sdk"] != "python-3.3.0" || one["app"] != "kitchen" || one["http_status"] != "200" {
			continue
		}
		request := unhex(t, one["request_hex"])
		reply, err := handler.Invoke(context.Background(), request)
		if err != nil {
			t.Fatalf("%s: %v", one["case"], err)
		}
		if over := post(handler, "", request).Body.Bytes(); !bytes.Equal(reply, over) {
			t.Errorf("%s: %x by Invoke, %x over HTTP", one["case"], reply, over)
		}
	}
}

var _ statefun.StatefulFunction = statefun.StatefulFunctionPointer(kitchen)
