// Package io has the records that egresses take.
package io

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"statefun.internal/sdk-go/internal/wire"
)

const (
	kafkaUrl   = "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord"
	kinesisUrl = "type.googleapis.com/io.statefun.sdk.egress.KinesisEgressRecord"
)

// EgressIdentifier names an egress.
type EgressIdentifier struct {
	EgressNamespace string
	EgressType      string
}

func (egress *EgressIdentifier) String() string {
	return egress.EgressNamespace + "/" + egress.EgressType
}

// KafkaRecord is a record for a Kafka egress.
type KafkaRecord struct {
	Topic string
	// Key is UTF-8. An empty key is none.
	Key string
	// Value is packed into an Any, and its bytes are the record's, as the first SDK for Go has it.
	Value proto.Message
	// Bytes are the record's as they are, in place of Value.
	Bytes []byte
}

// ToMessage returns the record as a message that Output.SendEgress takes.
func (record *KafkaRecord) ToMessage() (proto.Message, error) {
	if record.Topic == "" {
		return nil, errors.New("a Kafka record needs a Topic")
	}
	value, err := valueOf(record.Value, record.Bytes, record.Topic, record.Key)
	if err != nil {
		return nil, fmt.Errorf("the Kafka record for topic %s: %w", record.Topic, err)
	}
	var content []byte
	content = wire.AppendText(content, 1, record.Key)
	content = wire.AppendBytes(content, 2, value)
	content = wire.AppendText(content, 3, record.Topic)
	return &anypb.Any{TypeUrl: kafkaUrl, Value: content}, nil
}

// KinesisRecord is a record for a Kinesis egress.
type KinesisRecord struct {
	Stream       string
	PartitionKey string
	// ExplicitHashKey chooses the shard by itself; empty leaves that to the PartitionKey.
	ExplicitHashKey string
	// Value is packed into an Any, and its bytes are the record's, as the first SDK for Go has it.
	Value proto.Message
	// Bytes are the record's as they are, in place of Value.
	Bytes []byte
}

// ToMessage returns the record as a message that Output.SendEgress takes.
func (record *KinesisRecord) ToMessage() (proto.Message, error) {
	if record.Stream == "" || record.PartitionKey == "" {
		return nil, errors.New("a Kinesis record needs a Stream and a PartitionKey")
	}
	value, err := valueOf(record.Value, record.Bytes, record.Stream, record.PartitionKey, record.ExplicitHashKey)
	if err != nil {
		return nil, fmt.Errorf("the Kinesis record for stream %s: %w", record.Stream, err)
	}
	var content []byte
	content = wire.AppendText(content, 1, record.PartitionKey)
	content = wire.AppendBytes(content, 2, value)
	content = wire.AppendText(content, 3, record.Stream)
	content = wire.AppendText(content, 4, record.ExplicitHashKey)
	return &anypb.Any{TypeUrl: kinesisUrl, Value: content}, nil
}

func valueOf(value proto.Message, bytes []byte, texts ...string) ([]byte, error) {
	for _, text := range texts {
		if !utf8.ValidString(text) {
			return nil, fmt.Errorf("not valid UTF-8: %q", text)
		}
	}
	switch value := value.(type) {
	case nil:
		return bytes, nil
	case *anypb.Any:
		return proto.Marshal(value)
	}
	if bytes != nil {
		return nil, errors.New("it has both Value and Bytes")
	}
	packed, err := anypb.New(value)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(packed)
}
