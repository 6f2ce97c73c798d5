"use strict";
// Types whose values are objects: JSON, and messages that protobuf's compilers generated.

const { shown } = require("../address.js");
const { READ, Type, asBuffer } = require("./type.js");

/** Values as JSON text in UTF-8. What JSON would lose without a word is refused. */
class JsonType extends Type {
  serialize(value) {
    const text = JSON.stringify(value);
    if (text === undefined) {
      throw new TypeError(`${this.typename} is JSON, which has no ${shown(value)}`);
    }
    // Only then can something have been replaced: numbers that JSON has not are written as null.
    if (text.includes("null")) {
      JSON.stringify(value, refuseLost(this.typename));
    }
    if (text === "{}" && (value instanceof Map || value instanceof Set)) {
      throw new TypeError(`${this.typename} is JSON, which would write a ${value.constructor.name} as {}; make it an object or an array`);
    }
    return Buffer.from(text);
  }

  deserialize(bytes) {
    return JSON.parse(asBuffer(bytes).utf8Slice(0, bytes.length));
  }

  [READ](bytes, start, end) {
    return JSON.parse(bytes.utf8Slice(start, end));
  }
}

function refuseLost(typename) {
  return function check(key, value) {
    if (typeof value === "number" && !Number.isFinite(value)) {
      const where = key === "" ? "" : ` at ${JSON.stringify(key)}`;
      throw new TypeError(`${typename} is JSON, which would write ${value}${where} as null`);
    }
    return value;
  };
}

/** Values as messages of a generated class: google-protobuf's, protobufjs', ts-proto's or protobuf-es' (1.x). */
class ProtoType extends Type {
  #messageClass;
  #write;
  #read;

  constructor(typename, messageClass) {
    super(typename);
    const codec = codecOf(messageClass);
    if (codec === null) {
      throw new TypeError(`the type ${typename} needs the class that protobuf's compiler generated, not ${shown(messageClass)}`);
    }
    this.#messageClass = messageClass;
    [this.#write, this.#read] = codec;
  }

  serialize(value) {
    const isOther = typeof this.#messageClass === "function" && !(value instanceof this.#messageClass);
    // protobufjs and ts-proto take plain objects, too.
    if (value === null || typeof value !== "object" || (isOther && !this.#messageClass.encode)) {
      throw new TypeError(`${this.typename} takes messages of its class, not ${shown(value)}`);
    }
    return this.#write(value);
  }

  deserialize(bytes) {
    return this.#read(bytes);
  }
}

/** Return how messages of a class are written and read, or null. */
function codecOf(messageClass) {
  if (typeof messageClass?.deserializeBinary === "function") {
    return [(value) => value.serializeBinary(), (bytes) => messageClass.deserializeBinary(bytes)];
  }
  if (typeof messageClass?.encode === "function" && typeof messageClass?.decode === "function") {
    return [(value) => messageClass.encode(value).finish(), (bytes) => messageClass.decode(bytes)];
  }
  if (typeof messageClass?.fromBinary === "function") {
    return [(value) => value.toBinary(), (bytes) => messageClass.fromBinary(bytes)];
  }
  return null;
}

module.exports = { JsonType, ProtoType };
