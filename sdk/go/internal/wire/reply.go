package wire

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Expirations of a state, as ExpirationSpec.ExpireMode numbers them.
const (
	ExpireNever       = 0
	ExpireAfterWrite  = 1
	ExpireAfterInvoke = 2
)

// headMax is how many bytes stand before a field of bytes: its number, below 16, and its length.
const headMax = 1 + 10

// A Spec says which state a function wants to have.
type Spec struct {
	Name          string
	Typename      string
	Expiration    int
	ExpireAfterMs int64
}

// A Mutation is the last change of one state in a batch. Without a value it deletes.
type Mutation struct {
	Name  string
	Value Value
}

// Effects collects what a batch sends, in three lists that are encoded as they grow.
type Effects struct {
	messages []byte
	delayed  []byte
	egresses []byte
}

// Send adds a message.
func (e *Effects) Send(target Address, value Value) {
	e.messages = appendItem(e.messages, 2, target.messageSize(1)+value.messageSize(2))
	e.messages = target.append(e.messages, 1)
	e.messages = value.append(e.messages, 2)
}

// SendAfter adds a message for later; the token is empty if nobody will cancel it.
func (e *Effects) SendAfter(delayMs int64, target Address, value Value, token string) {
	size := varintSize(uint64(delayMs)) + target.messageSize(2) + value.messageSize(3) + textSize(token)
	e.delayed = appendItem(e.delayed, 3, size)
	e.delayed = appendVarint(e.delayed, 1, uint64(delayMs))
	e.delayed = target.append(e.delayed, 2)
	e.delayed = value.append(e.delayed, 3)
	e.delayed = appendText(e.delayed, 11, token)
}

// Cancel adds the wish that the message of that token is not delivered.
func (e *Effects) Cancel(token string) {
	e.delayed = appendHead(e.delayed, 3, 2+textSize(token))
	e.delayed = appendVarint(e.delayed, 10, 1)
	e.delayed = appendText(e.delayed, 11, token)
}

// SendEgress adds a record.
func (e *Effects) SendEgress(namespace, name string, value Value) {
	e.egresses = appendItem(e.egresses, 4, textSize(namespace)+textSize(name)+value.messageSize(3))
	e.egresses = appendText(e.egresses, 1, namespace)
	e.egresses = appendText(e.egresses, 2, name)
	e.egresses = value.append(e.egresses, 3)
}

// Reply returns the FromFunction of a batch that succeeded.
func (e *Effects) Reply(mutations []Mutation) []byte {
	size := len(e.messages) + len(e.delayed) + len(e.egresses)
	for i := range mutations {
		size += protowire.SizeBytes(mutations[i].size()) + 1
	}
	reply := make([]byte, 0, size+2+protowire.SizeVarint(uint64(size)))
	reply = appendHead(reply, 100, size)
	for i := range mutations {
		reply = mutations[i].append(reply)
	}
	reply = append(reply, e.messages...)
	reply = append(reply, e.delayed...)
	return append(reply, e.egresses...)
}

// Incomplete returns the FromFunction that asks for states: nothing was invoked.
func Incomplete(missing []Spec) []byte {
	var specs []byte
	for _, spec := range missing {
		var content []byte
		content = appendText(content, 1, spec.Name)
		var expiration []byte
		expiration = appendVarint(expiration, 1, uint64(spec.Expiration))
		expiration = appendVarint(expiration, 2, uint64(spec.ExpireAfterMs))
		// Always there: to some runtimes a missing one is not the same as one that says nothing.
		content = append(appendHead(content, 2, len(expiration)), expiration...)
		content = appendText(content, 3, spec.Typename)
		specs = append(appendHead(specs, 1, len(content)), content...)
	}
	return append(appendHead(nil, 101, len(specs)), specs...)
}

func (m *Mutation) size() int {
	size := textSize(m.Name)
	if m.Value.HasValue {
		size += 2 + m.Value.messageSize(3)
	}
	return size
}

func (m *Mutation) append(to []byte) []byte {
	to = appendHead(to, 1, m.size())
	if m.Value.HasValue {
		to = appendVarint(to, 1, 1)
	}
	to = appendText(to, 2, m.Name)
	if m.Value.HasValue {
		to = m.Value.append(to, 3)
	}
	return to
}

func (a Address) size() int {
	return textSize(a.Namespace) + textSize(a.Type) + textSize(a.Id)
}

func (a Address) messageSize(number protowire.Number) int {
	return protowire.SizeTag(number) + protowire.SizeBytes(a.size())
}

func (a Address) append(to []byte, number protowire.Number) []byte {
	to = appendHead(to, number, a.size())
	to = appendText(to, 1, a.Namespace)
	to = appendText(to, 2, a.Type)
	return appendText(to, 3, a.Id)
}

func (v Value) size() int {
	size := textSize(v.Typename)
	if v.HasValue {
		size += 2
	}
	if len(v.Bytes) > 0 {
		size += 1 + protowire.SizeBytes(len(v.Bytes))
	}
	return size
}

func (v Value) messageSize(number protowire.Number) int {
	return protowire.SizeTag(number) + protowire.SizeBytes(v.size())
}

func (v Value) append(to []byte, number protowire.Number) []byte {
	to = appendHead(to, number, v.size())
	to = appendText(to, 1, v.Typename)
	if v.HasValue {
		to = appendVarint(to, 2, 1)
	}
	return AppendBytes(to, 3, v.Bytes)
}

// appendItem is appendHead for what is a message's, with room for all of it.
func appendItem(to []byte, number protowire.Number, size int) []byte {
	return appendHead(slices.Grow(to, size+headMax), number, size)
}

func appendHead(to []byte, number protowire.Number, size int) []byte {
	to = protowire.AppendTag(to, number, protowire.BytesType)
	return protowire.AppendVarint(to, uint64(size))
}

// AppendText adds a string field unless it is empty, as proto3 does.
func AppendText(to []byte, number protowire.Number, text string) []byte {
	return appendText(to, number, text)
}

// AppendBytes adds a field of bytes unless it is empty, as proto3 does.
func AppendBytes(to []byte, number protowire.Number, value []byte) []byte {
	if len(value) == 0 {
		return to
	}
	return append(appendHead(to, number, len(value)), value...)
}

func appendText(to []byte, number protowire.Number, text string) []byte {
	if text == "" {
		return to
	}
	return append(appendHead(to, number, len(text)), text...)
}

func appendVarint(to []byte, number protowire.Number, value uint64) []byte {
	if value == 0 {
		return to
	}
	return protowire.AppendVarint(protowire.AppendTag(to, number, protowire.VarintType), value)
}

// textSize and varintSize are of fields whose number is below 16, and nothing for the default.
func textSize(text string) int {
	if text == "" {
		return 0
	}
	return 1 + protowire.SizeBytes(len(text))
}

func varintSize(value uint64) int {
	if value == 0 {
		return 0
	}
	return 1 + protowire.SizeVarint(value)
}
