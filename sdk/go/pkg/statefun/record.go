package statefun

import (
	"errors"
	"fmt"
	"time"

	"statefun.internal/sdk-go/internal/wire"
)

// RecordHeader is a header of a Kafka record. A nil Value is a header without one.
type RecordHeader struct {
	Key   string
	Value []byte
}

// RecordMetadata says where a Kafka record came from, and what it had besides key and value.
type RecordMetadata struct {
	Topic     string
	Partition int32
	Offset    int64
	Timestamp time.Time
	// Headers are in their order; a key may be there more than once.
	Headers []RecordHeader
}

// RecordOptions are what a record for Kafka may have besides key and value.
type RecordOptions struct {
	Headers []RecordHeader
	// Timestamp is the record's own; zero is the time at which it is written.
	Timestamp time.Time
	// Partition chooses the topic partition; nil leaves that to the key.
	Partition *int32
}

// RecordOf returns what came with a message from a topic that has forwardMetadata: true in module.yaml,
// nil with all others.
func RecordOf(ctx Context) *RecordMetadata {
	known, ok := ctx.(*statefunContext)
	if !ok {
		panic(errors.New("RecordOf takes a context that a function was invoked with, or one derived from it"))
	}
	if known.record == nil {
		return nil
	}
	record, err := wire.ParseRecord(known.record)
	if err != nil {
		refuse("the metadata of the record cannot be read: %w", err)
	}
	metadata := &RecordMetadata{
		Topic:     record.Topic,
		Partition: record.Partition,
		Offset:    record.Offset,
		Timestamp: time.UnixMilli(record.TimestampMs),
	}
	for _, header := range record.Headers {
		metadata.Headers = append(metadata.Headers, RecordHeader(header))
	}
	return metadata
}

func (o *RecordOptions) append(to []byte) ([]byte, error) {
	var options wire.RecordOptions
	for _, header := range o.Headers {
		if err := checkText("the key of a header", header.Key); err != nil {
			return nil, err
		}
		options.Headers = append(options.Headers, wire.RecordHeader(header))
	}
	if !o.Timestamp.IsZero() {
		if options.TimestampMs = o.Timestamp.UnixMilli(); options.TimestampMs <= 0 {
			return nil, fmt.Errorf("its Timestamp is before 1970: %v", o.Timestamp)
		}
	}
	if o.Partition != nil && *o.Partition < 0 {
		return nil, fmt.Errorf("its Partition is negative: %d", *o.Partition)
	}
	options.Partition = o.Partition
	return options.Append(to), nil
}
