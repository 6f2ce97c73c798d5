"use strict";
// Typenames, ids and addresses, and how arguments that are none are refused.

const { inspect } = require("node:util");

const SHOWN = { depth: 1, breakLength: Infinity, maxArrayLength: 5, maxStringLength: 80 };

/** Show a value in an error message, with what it is. */
function shown(value) {
  const text = inspect(value, SHOWN);
  const kind = value === null ? "null" : typeof value;
  return kind === "object" || kind === "undefined" || kind === "null" ? text : `${text} (${kind})`;
}

/** Return a string that is none other on the wire; `what` and `of` are for the message. */
function checkText(value, what, of) {
  if (typeof value !== "string") {
    throw new TypeError(`${what} of ${of} must be a string, not ${shown(value)}`);
  }
  if (!value.isWellFormed()) {
    throw new TypeError(`${what} of ${of} has half a surrogate pair, and so is no text: ${shown(value)}`);
  }
  return value;
}

/** Return a string that has at least one character. */
function checkPresent(value, what, of) {
  if (value === undefined || value === null || value === "") {
    throw new TypeError(`${what} of ${of} is missing`);
  }
  return checkText(value, what, of);
}

/** Split `namespace/name`; a namespace may itself have slashes. */
function splitTypename(typename, of) {
  if (typeof typename !== "string" || typename === "") {
    throw new TypeError(`the typename of ${of} must be of the form <namespace>/<name>, not ${shown(typename)}`);
  }
  const slash = typename.lastIndexOf("/");
  if (slash < 1 || slash === typename.length - 1) {
    throw new TypeError(`the typename of ${of} must be of the form <namespace>/<name>, not ${shown(typename)}`);
  }
  checkText(typename, "the typename", of);
  return { namespace: typename.slice(0, slash), name: typename.slice(slash + 1) };
}

/** Which function type, and which instance of it. */
class Address {
  constructor(namespace, name, id, typename) {
    this.namespace = namespace;
    this.name = name;
    this.id = id;
    this.typename = typename;
  }

  static fromParts(namespace, name, id) {
    return new Address(namespace, name, id, `${namespace}/${name}`);
  }

  static fromTypeNameId(typename, id) {
    const { namespace, name } = splitTypename(typename, "an address");
    return new Address(namespace, name, checkPresent(id, "the id", "an address"), typename);
  }

  toString() {
    return `${this.typename}/${this.id}`;
  }
}

module.exports = { Address, checkPresent, checkText, shown, splitTypename };
