"use strict";
// What a function is bound with: its typename, its states, and the function itself.

const { checkPresent, shown, splitTypename } = require("./address.js");
const { checkType } = require("./types/values.js");

const STATE_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const MODE_AFTER_WRITE = 1;
const MODE_AFTER_CALL = 2;

/** One state of a function: its name, its type, and when it expires. */
class ValueSpec {
  constructor({ name, type, expireAfterCall, expireAfterWrite }, typename) {
    checkPresent(name, "the name of a state", typename);
    if (!STATE_NAME.test(name) || name === "__proto__") {
      throw new TypeError(`the state ${shown(name)} of ${typename} must be named with letters, digits and _, the first no digit`);
    }
    const of = `the state '${name}' of ${typename}`;
    this.name = name;
    this.type = checkType(type, of);
    this.described = `state '${name}' (${type.typename}) of function '${typename}'`;
    const [afterCall, afterWrite] = [
      duration(expireAfterCall, "expireAfterCall", of),
      duration(expireAfterWrite, "expireAfterWrite", of),
    ];
    if (afterCall > 0 && afterWrite > 0) {
      throw new TypeError(`${of} can expire after a call or after a write, not both`);
    }
    this.expirationMode = afterCall > 0 ? MODE_AFTER_CALL : MODE_AFTER_WRITE;
    this.expirationMs = afterCall || afterWrite;
  }
}

/** Return milliseconds; 0 if it never expires. */
function duration(value, what, of) {
  if (value === undefined || value === null || value === -1) {
    return 0;
  }
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new TypeError(`${what} of ${of} must be a whole number of milliseconds, not ${shown(value)}`);
  }
  return value;
}

/** A function type as it was bound. */
class FunctionSpec {
  constructor({ typename, fn, specs } = {}) {
    const { namespace, name } = splitTypename(typename, "a function");
    if (typeof fn !== "function") {
      throw new TypeError(`the function ${typename} needs a function fn, not ${shown(fn)}`);
    }
    if (specs !== undefined && specs !== null && !Array.isArray(specs)) {
      throw new TypeError(`the specs of ${typename} must be an array, not ${shown(specs)}`);
    }
    this.typename = typename;
    this.namespace = namespace;
    this.name = name;
    this.fn = fn;
    this.specs = (specs ?? []).map((spec) => new ValueSpec(spec ?? {}, typename));
    this.places = new Map(this.specs.map((spec, place) => [spec.name, place]));
    if (this.places.size < this.specs.length) {
      const twice = this.specs.find((spec, place) => this.places.get(spec.name) !== place);
      throw new TypeError(`the function ${typename} has two states '${twice.name}'`);
    }
  }
}

/** The functions that are served, found by the two parts of their typename. */
class Functions {
  #byNamespace = new Map();

  bind(spec) {
    let functions = this.#byNamespace.get(spec.namespace);
    if (functions === undefined) {
      functions = new Map();
      this.#byNamespace.set(spec.namespace, functions);
    }
    functions.set(spec.name, spec);
  }

  find(namespace, name) {
    return this.#byNamespace.get(namespace)?.get(name);
  }

  typenames() {
    return [...this.#byNamespace.values()].flatMap((functions) => [...functions.values()].map((one) => one.typename));
  }
}

module.exports = { FunctionSpec, Functions };
