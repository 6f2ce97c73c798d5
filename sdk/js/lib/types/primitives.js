"use strict";
// The types that all SDKs share: a message with the value as its only field, which is left out when the value is the default.

const { checkText, shown } = require("../address.js");
const { Reader } = require("../wire/reader.js");
const { Writer } = require("../wire/writer.js");
const { CHECK, GIVE, READ, Type, WRITE, asBuffer } = require("./type.js");

const TRUE = 1;

class PrimitiveType extends Type {
  #tag;
  #default;

  constructor(name, tag, absent) {
    super(`io.statefun.types/${name}`);
    this.#tag = tag;
    this.#default = absent;
  }

  serialize(value) {
    const writer = new Writer(64);
    this[WRITE](writer, this[CHECK](value));
    return writer.take();
  }

  deserialize(bytes) {
    const buffer = asBuffer(bytes);
    return this[READ](buffer, 0, buffer.length);
  }

  [GIVE](value) {
    return value;
  }

  [READ](bytes, start, end) {
    const reader = new Reader(bytes, start, end);
    let value = this.#default;
    while (!reader.isAtEnd) {
      const tag = reader.tag();
      if (tag === this.#tag) {
        value = this.readField(reader);
      } else {
        reader.skip(tag);
      }
    }
    return value;
  }

  /** Return where a field of a fixed size begins, and go past it. */
  static fixed(reader, size) {
    const at = reader.position;
    reader.skip(size === 4 ? 5 : 1);
    return at;
  }
}

class BooleanType extends PrimitiveType {
  constructor() {
    super("bool", 0x08, false);
  }

  [CHECK](value) {
    return typeof value === "boolean" ? value : refuse(this, value, "true or false");
  }

  [WRITE](writer, value) {
    if (value) {
      writer.byte(TRUE);
      writer.byte(0x08);
    }
  }

  readField(reader) {
    return reader.varint() !== 0;
  }
}

class IntType extends PrimitiveType {
  constructor() {
    super("int", 0x0d, 0);
  }

  [CHECK](value) {
    if (typeof value === "number" && (value | 0) === value) {
      return value;
    }
    if (Number.isInteger(value)) {
      throw new RangeError(`${shown(value)} does not fit ${this.typename}, which has 32 bits; longType() takes a BigInt`);
    }
    return refuse(this, value, "a whole number");
  }

  [WRITE](writer, value) {
    if (value !== 0) {
      writer.int32(value);
      writer.byte(0x0d);
    }
  }

  readField(reader) {
    return reader.bytes.readInt32LE(PrimitiveType.fixed(reader, 4));
  }
}

class LongType extends PrimitiveType {
  constructor() {
    super("long", 0x09, 0n);
  }

  [CHECK](value) {
    const big = typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : value;
    if (typeof big !== "bigint") {
      return refuse(this, value, "a BigInt or a safe whole number");
    }
    if (BigInt.asIntN(64, big) !== big) {
      throw new RangeError(`${shown(value)} does not fit ${this.typename}, which has 64 bits`);
    }
    return big;
  }

  [WRITE](writer, value) {
    if (value !== 0n) {
      writer.int64(value);
      writer.byte(0x09);
    }
  }

  readField(reader) {
    return reader.bytes.readBigInt64LE(PrimitiveType.fixed(reader, 8));
  }
}

class FloatType extends PrimitiveType {
  constructor() {
    super("float", 0x0d, 0);
  }

  [CHECK](value) {
    const number = checkNumber(this, value);
    const kept = Math.fround(number);
    if (Number.isFinite(number) && !Number.isFinite(kept)) {
      throw new RangeError(`${shown(value)} does not fit ${this.typename}, which has 32 bits; doubleType() takes it`);
    }
    return kept;
  }

  [WRITE](writer, value) {
    if (!Object.is(value, 0)) {
      writer.float(value);
      writer.byte(0x0d);
    }
  }

  readField(reader) {
    return reader.bytes.readFloatLE(PrimitiveType.fixed(reader, 4));
  }
}

class DoubleType extends PrimitiveType {
  constructor() {
    super("double", 0x09, 0);
  }

  [CHECK](value) {
    return checkNumber(this, value);
  }

  [WRITE](writer, value) {
    if (!Object.is(value, 0)) {
      writer.double(value);
      writer.byte(0x09);
    }
  }

  readField(reader) {
    return reader.bytes.readDoubleLE(PrimitiveType.fixed(reader, 8));
  }
}

class StringType extends PrimitiveType {
  constructor() {
    super("string", 0x0a, "");
  }

  [CHECK](value) {
    return typeof value === "string" ? checkText(value, "a value", this.typename) : refuse(this, value, "a string");
  }

  [WRITE](writer, value) {
    writer.textField(0x0a, value);
  }

  readField(reader) {
    return reader.text();
  }
}

function refuse(type, value, wanted) {
  throw new TypeError(`${type.typename} takes ${wanted}, not ${shown(value)}`);
}

/** Return a number that is one: NaN is nearly always what was computed from something that was not there. */
function checkNumber(type, value) {
  if (typeof value !== "number" || Number.isNaN(value)) {
    return refuse(type, value, "a number");
  }
  return value;
}

const BOOLEAN = new BooleanType();
const INT = new IntType();
const LONG = new LongType();
const FLOAT = new FloatType();
const DOUBLE = new DoubleType();
const STRING = new StringType();

module.exports = { BOOLEAN, DOUBLE, FLOAT, INT, LONG, STRING };
