package wire

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// A Failure is what an invocation batch is answered with that has no reply.
type Failure struct {
	Status int
	Text   string
}

// FailureTextMax is how many bytes of text a failure may have in a bundle.
const FailureTextMax = 4096

// Split returns the requests of a bundle, undecoded, in their order.
func Split(bundle []byte) ([][]byte, error) {
	requests := make([][]byte, 0, frames(bundle))
	for at := 0; at < len(bundle); {
		request, n := protowire.ConsumeBytes(bundle[at:])
		if n < 0 {
			return nil, fmt.Errorf(
				"the bundle breaks off in request %d, at byte %d of %d: %w",
				len(requests), at, len(bundle), protowire.ParseError(n),
			)
		}
		requests = append(requests, request)
		at += n
	}
	return requests, nil
}

// frames counts the requests of a bundle, up to where it breaks off.
func frames(bundle []byte) (count int) {
	for {
		_, n := protowire.ConsumeBytes(bundle)
		if n < 0 {
			return count
		}
		bundle = bundle[n:]
		count++
	}
}

// AppendReply adds an outcome: the FromFunction of the request at that place.
func AppendReply(to []byte, index int, reply []byte) []byte {
	size := varintSize(uint64(index)) + 1 + protowire.SizeBytes(len(reply))
	to = protowire.AppendVarint(to, uint64(size))
	to = appendVarint(to, 1, uint64(index))
	return append(appendHead(to, 2, len(reply)), reply...)
}

// AppendFailure adds an outcome: why the request at that place has no reply.
func AppendFailure(to []byte, index int, failure Failure) []byte {
	content := varintSize(uint64(failure.Status)) + textSize(failure.Text)
	size := varintSize(uint64(index)) + 1 + protowire.SizeBytes(content)
	to = protowire.AppendVarint(to, uint64(size))
	to = appendVarint(to, 1, uint64(index))
	to = appendHead(to, 3, content)
	to = appendVarint(to, 1, uint64(failure.Status))
	return appendText(to, 2, failure.Text)
}
