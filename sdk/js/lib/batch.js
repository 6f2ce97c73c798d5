"use strict";
// One invocation batch: from a ToFunction to a FromFunction.

const { Address } = require("./address.js");
const { Context, begin, finish } = require("./context.js");
const { RequestError } = require("./failures.js");
const { Message } = require("./message.js");
const { readRequest } = require("./request.js");
const { States } = require("./storage.js");
const { WireError } = require("./wire/reader.js");

const INVOCATION_RESULT = (100 << 3) | 2;
const INCOMPLETE = (101 << 3) | 2;

/** A batch that is being worked on. */
class Batch {
  #function = null;
  #invocations = [];
  #context = null;
  #missing = [];

  /** Read a request and find its function; what is wrong with it is thrown. */
  constructor(functions, bytes, start, end, names) {
    const request = readOrRefuse(bytes, start, end, names);
    const found = functions.find(request.namespace, request.name);
    if (found === undefined) {
      throw new RequestError(404, unbound(Address.fromParts(request.namespace, request.name, request.id), functions));
    }
    this.address = new Address(found.namespace, found.name, request.id, found.typename);
    this.#function = found;
    this.#invocations = request.invocations;
    const received = this.#match(request.states);
    if (received !== null) {
      this.#context = new Context(this.address, new States(found, received));
    }
  }

  /** Invoke the function with one message after another. Returns a promise only if there is something to wait for. */
  run() {
    if (this.#context === null) {
      return undefined;
    }
    const { fn } = this.#function;
    for (let i = 0; i < this.#invocations.length; i++) {
      const result = this.#invoke(fn, this.#invocations[i]);
      if (isThenable(result)) {
        return this.#goOn(fn, result, i + 1);
      }
    }
    return undefined;
  }

  /** Write the reply: a FromFunction. */
  write(writer) {
    const before = writer.size;
    if (this.#context === null) {
      writeMissing(writer, this.#missing);
      writer.close(INCOMPLETE, before);
    } else {
      finish(this.#context, writer);
      writer.close(INVOCATION_RESULT, before);
    }
  }

  /** Take no more of what the function asks for: it has failed. */
  close() {
    if (this.#context !== null) {
      finish(this.#context, null);
    }
  }

  async #goOn(fn, first, from) {
    await first;
    for (let i = from; i < this.#invocations.length; i++) {
      const result = this.#invoke(fn, this.#invocations[i]);
      if (isThenable(result)) {
        await result;
      }
    }
  }

  #invoke(fn, invocation) {
    begin(this.#context, invocation);
    return fn(this.#context, new Message(this.address, invocation.argument));
  }

  /** Return the value of each spec; null if some have not come. */
  #match(states) {
    const { specs } = this.#function;
    const received = new Array(specs.length).fill(undefined);
    for (const { name, value } of states) {
      const place = this.#function.places.get(name);
      if (place !== undefined) {
        received[place] = value;
      }
    }
    this.#missing = specs.filter((_, place) => received[place] === undefined);
    return this.#missing.length === 0 ? received : null;
  }
}

function readOrRefuse(bytes, start, end, names) {
  try {
    return readRequest(bytes, start, end, names);
  } catch (error) {
    if (error instanceof WireError) {
      throw new RequestError(400, `the request is not a ToFunction: ${error.message}`);
    }
    throw error;
  }
}

function unbound(address, functions) {
  const bound = functions.typenames().join(", ") || "none";
  return `no function is bound for ${address}; bound are ${bound}`;
}

function isThenable(value) {
  return value !== undefined && value !== null && typeof value.then === "function";
}

function writeMissing(writer, specs) {
  for (const spec of specs.toReversed()) {
    const before = writer.size;
    writer.textField(0x1a, spec.type.typename);
    if (spec.expirationMs > 0) {
      const beforeExpiration = writer.size;
      writer.varint(spec.expirationMs);
      writer.varint(0x10);
      writer.varint(spec.expirationMode);
      writer.varint(0x08);
      writer.close(0x12, beforeExpiration);
    }
    writer.textField(0x0a, spec.name);
    writer.close(0x0a, before);
  }
}

module.exports = { Batch };
