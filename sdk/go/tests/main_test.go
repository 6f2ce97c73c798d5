package tests

import (
	"bytes"
	"flag"
	"io"
	"log"
	"os"
	"testing"
)

// logged returns what is logged meanwhile.
func logged(do func()) string {
	var into bytes.Buffer
	before, flags := log.Writer(), log.Flags()
	log.SetOutput(&into)
	log.SetFlags(0)
	defer func() {
		log.SetOutput(before)
		log.SetFlags(flags)
	}()
	do()
	return into.String()
}

func TestMain(m *testing.M) {
	flag.Parse()
	if !testing.Verbose() {
		// Most of what fails here is meant to.
		log.SetOutput(io.Discard)
	}
	os.Exit(m.Run())
}
