"use strict";
// Types: how values become the bytes of a typed value, and come back.
//
// `serialize` and `deserialize` are for everybody. The methods with symbols are for this package: `[CHECK]` takes a value
// over at once (a later change of an object is not seen), and `[WRITE]` writes what it gave.

const { shown, splitTypename } = require("../address.js");
const { Writer } = require("../wire/writer.js");

/** Take a value over: return what is kept of it, or throw an error that says why it is none of this type. */
const CHECK = Symbol("check");
/** Write what `[CHECK]` returned. */
const WRITE = Symbol("write");
/** Read a value from a part of a buffer. */
const READ = Symbol("read");
/** Give the value back that `[CHECK]` returned. */
const GIVE = Symbol("give");
/** The head of every typed value of this type, as it is on the wire: its typename, and that there is a value. */
const HEAD = Symbol("head");

const TYPED_TYPENAME = 0x0a;
const TYPED_HAS_VALUE = 0x10;
const TRUE = 1;

/** The base of all types. The typename alone decides whether two programs speak of the same type. */
class Type {
  #typename;

  constructor(typename) {
    splitTypename(typename, "a type");
    this.#typename = typename;
    const writer = new Writer(typename.length * 3 + 16);
    writer.byte(TRUE);
    writer.byte(TYPED_HAS_VALUE);
    writer.textField(TYPED_TYPENAME, typename);
    this[HEAD] = writer.take();
  }

  get typename() {
    return this.#typename;
  }

  serialize(_value) {
    throw new Error(`the type ${this.#typename} does not say how to serialize`);
  }

  deserialize(_bytes) {
    throw new Error(`the type ${this.#typename} does not say how to deserialize`);
  }

  [CHECK](value) {
    const bytes = this.serialize(value);
    if (!(bytes instanceof Uint8Array)) {
      throw new TypeError(`the serializer of ${this.typename} must return a Buffer, not ${shown(bytes)}`);
    }
    return bytes;
  }

  [WRITE](writer, bytes) {
    writer.raw(bytes);
  }

  [GIVE](bytes) {
    return this.deserialize(Buffer.from(bytes));
  }

  [READ](bytes, start, end) {
    // A copy: what a function keeps would hold the whole request in memory otherwise.
    return this.deserialize(Buffer.from(bytes.subarray(start, end)));
  }
}

/** A type made of two functions. */
class CustomType extends Type {
  #serialize;
  #deserialize;

  constructor(typename, serialize, deserialize) {
    super(typename);
    for (const [what, fn] of [["serialize", serialize], ["deserialize", deserialize]]) {
      if (typeof fn !== "function") {
        throw new TypeError(`the type ${typename} needs a function ${what}, not ${shown(fn)}`);
      }
    }
    this.#serialize = serialize;
    this.#deserialize = deserialize;
  }

  serialize(value) {
    return this.#serialize(value);
  }

  deserialize(bytes) {
    return this.#deserialize(bytes);
  }
}

function asBuffer(bytes) {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

module.exports = { CHECK, CustomType, GIVE, HEAD, READ, Type, WRITE, asBuffer };
