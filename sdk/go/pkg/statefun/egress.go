package statefun

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"statefun.internal/sdk-go/internal/wire"
)

const (
	kafkaTypename   = "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord"
	kinesisTypename = "type.googleapis.com/io.statefun.sdk.egress.KinesisEgressRecord"

	// Numbers and lengths of four fields, of values of any size that there is.
	roomForHeads = 24
)

// EgressBuilder is a record to be sent: a KafkaEgressBuilder, KinesisEgressBuilder or
// GenericEgressBuilder.
type EgressBuilder interface {
	toEgressRecord() (egressRecord, error)
}

type egressRecord struct {
	namespace string
	name      string
	value     wire.Value
}

// KafkaEgressBuilder is a record for a Kafka egress. Without a ValueType the value is a string (as
// UTF-8), a []byte, or an int32, int64, float32 or float64 (big-endian, as Kafka's serializers write
// them).
type KafkaEgressBuilder struct {
	// Target is the typename of the egress.
	Target TypeName
	Topic  string
	// Key is UTF-8. An empty key is none.
	Key       string
	Value     interface{}
	ValueType SimpleType
	// Options are more that the record has. They need a runtime that knows them, as statefun-worker
	// does; others leave them out.
	Options *RecordOptions
}

func (k KafkaEgressBuilder) toEgressRecord() (record egressRecord, err error) {
	if k.Target == nil {
		return record, errors.New("a Kafka record needs a Target, the typename of its egress")
	}
	if k.Topic == "" {
		return record, fmt.Errorf("the Kafka record to %v needs a Topic", k.Target)
	}
	if err := checkText("the topic or key of a Kafka record", k.Topic, k.Key); err != nil {
		return record, err
	}
	value, err := rawBytes(k.Value, k.ValueType, true)
	if err != nil {
		return record, fmt.Errorf("the Kafka record to %v: %w", k.Target, err)
	}
	content := make([]byte, 0, len(k.Key)+len(value)+len(k.Topic)+roomForHeads)
	content = wire.AppendText(content, 1, k.Key)
	content = wire.AppendBytes(content, 2, value)
	content = wire.AppendText(content, 3, k.Topic)
	if k.Options != nil {
		if content, err = k.Options.append(content); err != nil {
			return record, fmt.Errorf("the Kafka record to %v: %w", k.Target, err)
		}
	}
	return recordTo(k.Target, kafkaTypename, content)
}

// KinesisEgressBuilder is a record for a Kinesis egress. Without a ValueType the value is a string (as
// UTF-8) or a []byte.
type KinesisEgressBuilder struct {
	// Target is the typename of the egress.
	Target       TypeName
	Stream       string
	Value        interface{}
	ValueType    SimpleType
	PartitionKey string
	// ExplicitHashKey chooses the shard by itself; empty leaves that to the PartitionKey.
	ExplicitHashKey string
}

func (k KinesisEgressBuilder) toEgressRecord() (record egressRecord, err error) {
	if k.Target == nil {
		return record, errors.New("a Kinesis record needs a Target, the typename of its egress")
	}
	if k.Stream == "" {
		return record, fmt.Errorf("the Kinesis record to %v needs a Stream", k.Target)
	}
	if k.PartitionKey == "" {
		return record, fmt.Errorf("the Kinesis record to %v needs a PartitionKey", k.Target)
	}
	if err := checkText("the stream or a key of a Kinesis record", k.Stream, k.PartitionKey, k.ExplicitHashKey); err != nil {
		return record, err
	}
	value, err := rawBytes(k.Value, k.ValueType, false)
	if err != nil {
		return record, fmt.Errorf("the Kinesis record to %v: %w", k.Target, err)
	}
	content := make([]byte, 0, len(k.PartitionKey)+len(value)+len(k.Stream)+len(k.ExplicitHashKey)+roomForHeads)
	content = wire.AppendText(content, 1, k.PartitionKey)
	content = wire.AppendBytes(content, 2, value)
	content = wire.AppendText(content, 3, k.Stream)
	content = wire.AppendText(content, 4, k.ExplicitHashKey)
	return recordTo(k.Target, kinesisTypename, content)
}

// GenericEgressBuilder is a record for an egress of any kind.
type GenericEgressBuilder struct {
	// Target is the typename of the egress.
	Target    TypeName
	Value     interface{}
	ValueType SimpleType
}

func (g GenericEgressBuilder) toEgressRecord() (record egressRecord, err error) {
	if g.Target == nil {
		return record, errors.New("a record needs a Target, the typename of its egress")
	}
	if g.ValueType == nil {
		return record, fmt.Errorf("the record to %v needs a ValueType", g.Target)
	}
	value, err := serialize(g.ValueType, g.Value)
	if err != nil {
		return record, fmt.Errorf("the record to %v: %w", g.Target, err)
	}
	return recordTo(g.Target, g.ValueType.GetTypeName().String(), value)
}

func recordTo(target TypeName, typename string, content []byte) (egressRecord, error) {
	record := egressRecord{
		namespace: target.GetNamespace(),
		name:      target.GetType(),
		value:     wire.Value{Typename: typename, HasValue: true, Bytes: content},
	}
	return record, checkText("the typename of an egress or a value", record.namespace, record.name, typename)
}

// rawBytes returns the bytes that a record has as its value: no TypedValue is around them.
func rawBytes(value interface{}, tpe SimpleType, withNumbers bool) ([]byte, error) {
	if value == nil {
		return nil, errNoValue
	}
	if tpe != nil {
		return serialize(tpe, value)
	}
	switch value := value.(type) {
	case string:
		return []byte(value), checkText("the value", value)
	case []byte:
		return bytes.Clone(value), nil
	}
	if withNumbers {
		switch value := value.(type) {
		case int32:
			return binary.BigEndian.AppendUint32(nil, uint32(value)), nil
		case int64:
			return binary.BigEndian.AppendUint64(nil, uint64(value)), nil
		case float32:
			return binary.BigEndian.AppendUint32(nil, math.Float32bits(value)), nil
		case float64:
			return binary.BigEndian.AppendUint64(nil, math.Float64bits(value)), nil
		case int:
			return nil, errors.New("an int may be an int32 or an int64; make it one of them")
		}
	}
	return nil, fmt.Errorf("a value of type %T needs a ValueType", value)
}
