"use strict";
// What a Kafka record has besides key and value: fields that the contract does not have, and that whoever does not
// know them skips. protos/extensions/record.proto has them.

const { checkPresent, checkText, shown } = require("./address.js");
const { Reader } = require("./wire/reader.js");

const HEADERS = 0x0a;
const TIMESTAMP = 0x10;
const HAS_PARTITION = 0x18;
const PARTITION = 0x20;
const HEADER_KEY = 0x0a;
const HEADER_HAS_VALUE = 0x10;
const HEADER_VALUE = 0x1a;
/** Field 1000, of a KafkaProducerRecord and of an Invocation. */
const EXTENSION = (1000 << 3) | 2;

/** Where a record came from, its time and its headers, in their order. */
class RecordMetadata {
  constructor() {
    this.topic = "";
    this.partition = 0;
    this.offset = 0n;
    this.timestampMs = 0;
    this.headers = [];
  }

  /** Return the value of the last header of this name; null if it has none, undefined if there is no such header. */
  header(key) {
    return this.headers.findLast(([name]) => name === key)?.[1];
  }
}

/** Read a RecordMetadata that lies between two positions of a buffer. */
function readMetadata(bytes, start, end) {
  const metadata = new RecordMetadata();
  const reader = new Reader(bytes, start, end);
  while (!reader.isAtEnd) {
    const tag = reader.tag();
    switch (tag) {
      case 0x0a:
        metadata.topic = reader.text();
        break;
      case 0x10:
        metadata.partition = Number(reader.bigVarint());
        break;
      case 0x18:
        metadata.offset = reader.bigVarint();
        break;
      case 0x20:
        metadata.timestampMs = Number(reader.bigVarint());
        break;
      case 0x2a:
        metadata.headers.push(readHeader(reader));
        break;
      default:
        reader.skip(tag);
    }
  }
  return metadata;
}

function readHeader(outer) {
  const end = outer.length();
  const reader = new Reader(outer.bytes, outer.position, end);
  outer.position = end;
  let key = "";
  let hasValue = false;
  let value = Buffer.alloc(0);
  while (!reader.isAtEnd) {
    const tag = reader.tag();
    if (tag === HEADER_KEY) {
      key = reader.text();
    } else if (tag === HEADER_HAS_VALUE) {
      hasValue = reader.varint() !== 0;
    } else if (tag === HEADER_VALUE) {
      const valueEnd = reader.length();
      value = Buffer.from(reader.bytes.subarray(reader.position, valueEnd));
      reader.position = valueEnd;
    } else {
      reader.skip(tag);
    }
  }
  return [key, hasValue ? value : null];
}

/** Return the checked options of a record that is to be written; null if nothing is asked for. */
function checkOptions({ headers, timestampMs, partition }, of) {
  if (headers === undefined && timestampMs === undefined && partition === undefined) {
    return null;
  }
  return {
    headers: headers === undefined ? [] : checkHeaders(headers, of),
    timestampMs: timestampMs === undefined ? 0 : checkWhole(timestampMs, "timestampMs", of, 1, Number.MAX_SAFE_INTEGER),
    partition: partition === undefined ? null : checkWhole(partition, "partition", of, 0, 0x7fffffff),
  };
}

function checkWhole(value, what, of, low, high) {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new TypeError(`${what} of ${of} must be a whole number from ${low} to ${high}, not ${shown(value)}`);
  }
  return value;
}

function checkHeaders(headers, of) {
  const pairs = typeof headers?.[Symbol.iterator] === "function" ? [...headers] : Object.entries(headers ?? {});
  if (typeof headers !== "object" || headers === null || pairs.some((pair) => !Array.isArray(pair) || pair.length !== 2)) {
    throw new TypeError(`headers of ${of} must be an object or pairs of name and value, not ${shown(headers)}`);
  }
  return pairs.map(([key, value]) => [checkPresent(key, "the name of a header", of), headerBytes(key, value, of)]);
}

function headerBytes(key, value, of) {
  if (typeof value === "string") {
    return Buffer.from(checkText(value, `header '${key}'`, of));
  }
  if (value !== null && !(value instanceof Uint8Array)) {
    throw new TypeError(`header '${key}' of ${of} must be a string, bytes or null, not ${shown(value)}`);
  }
  return value === null ? null : Buffer.from(value);
}

/** Write what `checkOptions` returned as a field behind those of the record. */
function writeOptions(writer, options) {
  const before = writer.size;
  if (options.partition !== null) {
    if (options.partition > 0) {
      writer.varint(options.partition);
      writer.varint(PARTITION);
    }
    writer.varint(1);
    writer.varint(HAS_PARTITION);
  }
  if (options.timestampMs > 0) {
    writer.varint(options.timestampMs);
    writer.varint(TIMESTAMP);
  }
  for (const [key, value] of options.headers.toReversed()) {
    writeHeader(writer, key, value);
  }
  writer.close(EXTENSION, before);
}

function writeHeader(writer, key, value) {
  const before = writer.size;
  if (value !== null) {
    writer.bytesField(HEADER_VALUE, value);
    writer.varint(1);
    writer.varint(HEADER_HAS_VALUE);
  }
  writer.textField(HEADER_KEY, key);
  writer.close(HEADERS, before);
}

module.exports = { EXTENSION, checkOptions, readMetadata, writeOptions };
