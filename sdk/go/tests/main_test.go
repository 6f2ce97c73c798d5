package tests

import (
	"flag"
	"io"
	"log"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if !testing.Verbose() {
		// Most of what fails here is meant to.
		log.SetOutput(io.Discard)
	}
	os.Exit(m.Run())
}
