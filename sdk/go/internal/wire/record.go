package wire

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// A RecordHeader has a nil value if it has none.
type RecordHeader struct {
	Key   string
	Value []byte
}

// A Record is a RecordMetadata of protos/extensions/record.proto.
type Record struct {
	Topic       string
	Partition   int32
	Offset      int64
	TimestampMs int64
	Headers     []RecordHeader
}

// RecordOptions are those of protos/extensions/record.proto.
type RecordOptions struct {
	Headers     []RecordHeader
	TimestampMs int64
	Partition   *int32
}

const optionsOf = protowire.Number(1000)

// ParseRecord reads a RecordMetadata.
func ParseRecord(content []byte) (*Record, error) {
	record := &Record{}
	fields := cursor{rest: content}
	for fields.next() {
		switch {
		case fields.is(1, protowire.BytesType):
			record.Topic = fields.text(nil)
		case fields.is(2, protowire.VarintType):
			record.Partition = int32(fields.varint())
		case fields.is(3, protowire.VarintType):
			record.Offset = int64(fields.varint())
		case fields.is(4, protowire.VarintType):
			record.TimestampMs = int64(fields.varint())
		case fields.is(5, protowire.BytesType):
			var header RecordHeader
			if part := fields.bytes(); fields.err == nil {
				header, fields.err = parseHeader(part)
			}
			record.Headers = append(record.Headers, header)
		default:
			fields.skip()
		}
	}
	return record, fields.err
}

func parseHeader(content []byte) (header RecordHeader, err error) {
	hasValue := false
	value := []byte{}
	fields := cursor{rest: content}
	for fields.next() {
		switch {
		case fields.is(1, protowire.BytesType):
			header.Key = fields.text(nil)
		case fields.is(2, protowire.VarintType):
			hasValue = fields.varint() != 0
		case fields.is(3, protowire.BytesType):
			value = fields.bytes()
		default:
			fields.skip()
		}
	}
	if hasValue {
		header.Value = value
	}
	return header, fields.err
}

// Append adds the options to an encoded KafkaProducerRecord.
func (o *RecordOptions) Append(to []byte) []byte {
	var content []byte
	for _, header := range o.Headers {
		var part []byte
		part = appendText(part, 1, header.Key)
		if header.Value != nil {
			part = appendVarint(part, 2, 1)
			part = AppendBytes(part, 3, header.Value)
		}
		content = append(appendHead(content, 1, len(part)), part...)
	}
	content = appendVarint(content, 2, uint64(o.TimestampMs))
	if o.Partition != nil {
		content = appendVarint(content, 3, 1)
		content = appendVarint(content, 4, uint64(*o.Partition))
	}
	return append(appendHead(to, optionsOf, len(content)), content...)
}
