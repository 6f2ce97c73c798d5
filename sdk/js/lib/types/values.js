"use strict";
// Typed values: what came in a request, and what a function made. Both can be read, and written to a reply.

const { shown } = require("../address.js");
const { CHECK, GIVE, HEAD, READ, Type, WRITE } = require("./type.js");
const { Writer } = require("../wire/writer.js");

const TYPENAME = 0x0a;
const HAS_VALUE = 0x10;
const VALUE = 0x1a;
const NO_BYTES = Buffer.alloc(0);

/** A value as a request brought it: a part of the request's bytes, which nobody has looked into. */
class ReceivedValue {
  constructor() {
    this.typename = "";
    this.hasValue = false;
    this.source = NO_BYTES;
    this.start = 0;
    this.end = 0;
  }

  /** Read a typed value; one whose field comes twice is merged, as protobuf says. */
  parse(reader, end, names) {
    const outer = reader.end;
    reader.end = end;
    while (!reader.isAtEnd) {
      const tag = reader.tag();
      if (tag === TYPENAME) {
        this.typename = reader.name(names);
      } else if (tag === HAS_VALUE) {
        this.hasValue = reader.varint() !== 0;
      } else if (tag === VALUE) {
        this.end = reader.length();
        this.start = reader.position;
        this.source = reader.bytes;
        reader.position = this.end;
      } else {
        reader.skip(tag);
      }
    }
    reader.end = outer;
    return this;
  }

  /** A copy of the bytes, which the request's buffer does not hang on. */
  get value() {
    return Buffer.from(this.source.subarray(this.start, this.end));
  }

  /** Return the value, or null if there is none. */
  read(type) {
    if (!this.hasValue) {
      return null;
    }
    if (this.typename !== type.typename) {
      throw new TypeError(`it is of the type '${this.typename}', not ${type.typename}`);
    }
    return type[READ](this.source, this.start, this.end);
  }

  write(writer) {
    if (this.end > this.start) {
      writer.bytesField(VALUE, this.source.subarray(this.start, this.end));
    }
    if (this.hasValue) {
      writer.byte(1);
      writer.byte(HAS_VALUE);
    }
    writer.textField(TYPENAME, this.typename);
  }
}

/** A value that a function made: taken over and checked at once, written when the reply is. */
class MadeValue {
  #type;
  #kept;

  constructor(type, value) {
    this.#type = type;
    this.#kept = type[CHECK](value);
  }

  get typename() {
    return this.#type.typename;
  }

  get hasValue() {
    return true;
  }

  get value() {
    const writer = new Writer();
    this.#type[WRITE](writer, this.#kept);
    return Buffer.from(writer.take());
  }

  read(type) {
    if (type.typename !== this.#type.typename) {
      throw new TypeError(`it is of the type '${this.#type.typename}', not ${type.typename}`);
    }
    return type === this.#type ? type[GIVE](this.#kept) : type.deserialize(this.value);
  }

  write(writer) {
    const before = writer.size;
    this.#type[WRITE](writer, this.#kept);
    if (writer.size > before) {
      writer.close(VALUE, before);
    }
    writer.raw(this.#type[HEAD]);
  }
}

/** Return a type that is one of ours; `of` is for the message. */
function checkType(type, of) {
  if (!(type instanceof Type)) {
    throw new TypeError(`the type of ${of} must be one of StateFun's, like StateFun.intType(), not ${shown(type)}`);
  }
  return type;
}

module.exports = { MadeValue, ReceivedValue, checkType };
