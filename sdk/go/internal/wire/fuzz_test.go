package wire

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// seeds are the requests that the project keeps as examples.
func seeds(f *testing.F, name string, column int) [][]byte {
	f.Helper()
	text, err := os.ReadFile("../../../../tests/conformance/golden/" + name)
	if err != nil {
		f.Fatal(err)
	}
	var found [][]byte
	for _, line := range strings.Split(string(text), "\n")[1:] {
		cells := strings.Split(line, "\t")
		if len(cells) <= column {
			continue
		}
		if decoded, err := hex.DecodeString(cells[column]); err == nil {
			found = append(found, decoded)
		}
	}
	return found
}

// Whatever comes is read or refused, nothing of it is changed, and what is read is part of it.
func FuzzARequestIsReadOrRefused(f *testing.F) {
	for _, seed := range seeds(f, "golden_cases.tsv", 4) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, request []byte) {
		before := bytes.Clone(request)
		batch, err := ParseToFunction(request, Names{"a": "a"})
		if (batch == nil) == (err == nil) {
			t.Errorf("batch %v, error %v", batch, err)
		}
		if batch != nil {
			for _, message := range batch.Invocations {
				if !bytes.Contains(request, message.Argument.Bytes) {
					t.Errorf("an argument is not in the request: %x", message.Argument.Bytes)
				}
				if message.Record != nil {
					_, _ = ParseRecord(message.Record)
				}
			}
		}
		if !bytes.Equal(before, request) {
			t.Error("the request was changed")
		}
	})
}

func FuzzABundleIsTakenApartOrRefused(f *testing.F) {
	for _, seed := range seeds(f, "bundles.tsv", 3) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, bundle []byte) {
		requests, err := Split(bundle)
		if err != nil {
			return
		}
		size := 0
		for _, request := range requests {
			size += len(request) + 1
		}
		if size > len(bundle) {
			t.Errorf("%d bytes in a bundle of %d", size, len(bundle))
		}
	})
}
