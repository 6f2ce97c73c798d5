"use strict";
// Records for Kafka and Kinesis.

const { checkPresent, checkText, shown, splitTypename } = require("./address.js");
const { EgressMessage, told } = require("./message.js");
const { checkOptions, writeOptions } = require("./record.js");
const { STRING } = require("./types/primitives.js");
const { CHECK, Type, WRITE } = require("./types/type.js");
const { MadeValue, checkType } = require("./types/values.js");

/** A record that was checked when it was built, and is written when the reply is. */
class RecordType extends Type {
  constructor(name) {
    super(`type.googleapis.com/io.statefun.sdk.egress.${name}`);
  }

  [CHECK](record) {
    return record;
  }
}

class KafkaRecordType extends RecordType {
  [WRITE](writer, record) {
    if (record.options !== null) {
      writeOptions(writer, record.options);
    }
    writer.textField(0x1a, record.topic);
    record.value.write(writer, 0x12);
    writer.textField(0x0a, record.key);
  }
}

class KinesisRecordType extends RecordType {
  [WRITE](writer, record) {
    writer.textField(0x22, record.hashKey);
    writer.textField(0x1a, record.stream);
    record.value.write(writer, 0x12);
    writer.textField(0x0a, record.partitionKey);
  }
}

/** The bytes of a record's value, as a field of it. */
class RecordValue {
  #type;
  #kept;

  constructor(type, kept) {
    this.#type = type;
    this.#kept = kept;
  }

  write(writer, tag) {
    const before = writer.size;
    if (this.#type !== null) {
      this.#type[WRITE](writer, this.#kept);
    } else if (typeof this.#kept === "string") {
      writer.text(this.#kept);
    } else {
      writer.raw(this.#kept);
    }
    if (writer.size > before) {
      writer.close(tag, before);
    }
  }
}

const KAFKA = new KafkaRecordType("KafkaProducerRecord");
const KINESIS = new KinesisRecordType("KinesisEgressRecord");

/** Build a record for a Kafka egress. A string is written as UTF-8, a 32-bit whole number as four bytes, the high one first. */
function kafkaEgressMessage({ typename, topic, key, value, valueType, ...rest } = {}) {
  splitTypename(typename, "a Kafka record");
  const of = `a record for ${typename}`;
  return new EgressMessage(typename, new MadeValue(KAFKA, {
    topic: checkPresent(topic, "the topic", of),
    key: optionalText(key, "the key", of),
    value: recordValue(value, valueType, of),
    options: checkOptions(rest, of),
  }));
}

/** Build a record for a Kinesis egress; values are as for Kafka. */
function kinesisEgressMessage({ typename, stream, partitionKey, hashKey, value, valueType } = {}) {
  splitTypename(typename, "a Kinesis record");
  const of = `a record for ${typename}`;
  return new EgressMessage(typename, new MadeValue(KINESIS, {
    stream: checkPresent(stream, "the stream", of),
    partitionKey: checkPresent(partitionKey, "the partition key", of),
    hashKey: optionalText(hashKey, "the hash key", of),
    value: recordValue(value, valueType, of),
  }));
}

function optionalText(value, what, of) {
  return value === undefined || value === null ? "" : checkText(value, what, of);
}

function recordValue(value, type, of) {
  if (value === undefined || value === null) {
    throw new TypeError(`the value of ${of} is missing`);
  }
  try {
    if (type !== undefined && type !== null) {
      return new RecordValue(type, checkType(type, of)[CHECK](value));
    }
    return new RecordValue(null, plainValue(value));
  } catch (error) {
    throw told(error, `the value of ${of}`);
  }
}

function plainValue(value) {
  if (typeof value === "string") {
    return STRING[CHECK](value);
  }
  if (typeof value === "number" && (value | 0) === value) {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(value);
    return bytes;
  }
  if (value instanceof Uint8Array) {
    return Buffer.from(value);
  }
  throw new TypeError(`without a valueType it must be a string, a Buffer or a whole number of 32 bits, not ${shown(value)}`);
}

module.exports = { kafkaEgressMessage, kinesisEgressMessage };
