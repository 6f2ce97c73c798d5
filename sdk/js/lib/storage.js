"use strict";
// The state of one function instance, as its function sees it.

const { inspect } = require("node:util");
const { shown } = require("./address.js");
const { told } = require("./message.js");
const { MadeValue } = require("./types/values.js");

/** What is asked of every object by those who want to know what it is. */
const NOT_STATES = new Set(["then", "toJSON", "toString", "valueOf", "constructor", "inspect", "nodeType", "asymmetricMatch"]);

/**
 * The states of one address: `received` has a value for each spec, `written` what was set, null where it was deleted.
 *
 * A value is serialized, or kept if it cannot change, when it is set; every read of an object gives a new one.
 */
class States {
  #function;
  #received;
  #written = undefined;
  #isOver = false;

  constructor(functionSpec, received) {
    this.#function = functionSpec;
    this.#received = received;
  }

  get names() {
    return this.#function.places.keys();
  }

  has(name) {
    return this.#function.places.has(name);
  }

  read(name) {
    const place = this.#function.places.get(name);
    if (place === undefined) {
      return typeof name === "symbol" || NOT_STATES.has(name) ? undefined : this.#refuse(name);
    }
    const value = this.#written?.[place];
    const typed = value === undefined ? this.#received[place] : value;
    if (typed === null) {
      return null;
    }
    const spec = this.#function.specs[place];
    try {
      return typed.read(spec.type);
    } catch (error) {
      throw told(error, `reading ${spec.described}`);
    }
  }

  write(name, value) {
    const place = this.#function.places.get(name);
    if (place === undefined) {
      this.#refuse(name);
    }
    if (this.#isOver) {
      throw new Error(
        `the invocation is over, and ${this.#function.specs[place].described} that is set now would be lost; return the promise of what goes on`,
      );
    }
    this.#written ??= new Array(this.#received.length).fill(undefined);
    this.#written[place] = value === null || value === undefined ? null : this.#made(place, value);
  }

  /** From now on nothing can be set: the reply is written, or will not be. */
  close() {
    this.#isOver = true;
  }

  /** Write the mutations of a reply, the last first. */
  writeMutations(writer) {
    if (this.#written === undefined) {
      return;
    }
    for (let place = this.#written.length - 1; place >= 0; place--) {
      const value = this.#written[place];
      if (value !== undefined) {
        writeMutation(writer, this.#function.specs[place].name, value);
      }
    }
  }

  /** Called on the properties that stand for these states. */
  [inspect.custom](_depth, options) {
    return inspect({ ...this }, options);
  }

  #made(place, value) {
    const spec = this.#function.specs[place];
    try {
      return new MadeValue(spec.type, value);
    } catch (error) {
      throw told(error, `setting ${spec.described}`);
    }
  }

  #refuse(name) {
    const names = [...this.names].map((one) => `'${one}'`).join(", ");
    throw new TypeError(
      `the function '${this.#function.typename}' has no state ${shown(String(name)).replace(" (string)", "")}; its specs have ${names || "none"}`,
    );
  }
}

const STATE = 0x0a;
const MODIFY = 1;

function writeMutation(writer, name, value) {
  const before = writer.size;
  if (value !== null) {
    const beforeValue = writer.size;
    value.write(writer);
    writer.close(0x1a, beforeValue);
  }
  writer.textField(0x12, name);
  if (value !== null) {
    writer.varint(MODIFY);
    writer.varint(0x08);
  }
  writer.close(STATE, before);
}

/** Lets states be properties: read, set, deleted, listed. */
const PROPERTIES = {
  get: (states, name) => states.read(name),
  set(states, name, value) {
    states.write(name, value);
    return true;
  },
  deleteProperty(states, name) {
    states.write(name, null);
    return true;
  },
  has: (states, name) => states.has(name),
  ownKeys: (states) => [...states.names],
  getOwnPropertyDescriptor(states, name) {
    return states.has(name)
      ? { value: states.read(name), writable: true, enumerable: true, configurable: true }
      : undefined;
  },
  defineProperty(_states, name) {
    throw new TypeError(`a state is set, not defined: context.storage.${String(name)} = …`);
  },
  getPrototypeOf: () => null,
};

/** Return the object that a function sees its states through. */
function storageOf(states) {
  return new Proxy(states, PROPERTIES);
}

module.exports = { States, storageOf };
