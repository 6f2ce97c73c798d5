"use strict";
// Messages to functions and to egresses.

const { Address, shown, splitTypename } = require("./address.js");
const { BOOLEAN, DOUBLE, FLOAT, INT, LONG, STRING } = require("./types/primitives.js");
const { MadeValue, checkType } = require("./types/values.js");

/** A typed value for one address. */
class Message {
  #value;

  constructor(targetAddress, typedValue) {
    this.targetAddress = targetAddress;
    this.#value = typedValue;
  }

  get typedValue() {
    return this.#value;
  }

  get valueTypeName() {
    return this.#value.typename;
  }

  /** The bytes of the value, as the sender wrote them. */
  get rawValueBytes() {
    if (!this.#value.hasValue) {
      throw new Error(`the message to ${this.targetAddress} has no value`);
    }
    return this.#value.value;
  }

  is(type) {
    return checkType(type, "a message").typename === this.#value.typename;
  }

  /** Return the value; null if the message has none. */
  as(type) {
    checkType(type, "a message");
    try {
      return this.#value.read(type);
    } catch (error) {
      throw told(error, `the message to ${this.targetAddress}`);
    }
  }

  isString() {
    return this.is(STRING);
  }

  asString() {
    return this.as(STRING);
  }

  isBoolean() {
    return this.is(BOOLEAN);
  }

  asBoolean() {
    return this.as(BOOLEAN);
  }

  isFloat() {
    return this.is(FLOAT);
  }

  asFloat() {
    return this.as(FLOAT);
  }

  isDouble() {
    return this.is(DOUBLE);
  }

  asDouble() {
    return this.as(DOUBLE);
  }

  isInt() {
    return this.is(INT);
  }

  asInt() {
    return this.as(INT);
  }

  isLong() {
    return this.is(LONG);
  }

  asLong() {
    return this.as(LONG);
  }
}

/** A typed value for an egress. */
class EgressMessage {
  constructor(typename, typedValue) {
    this.typename = typename;
    this.typedValue = typedValue;
  }
}

/** Build a message to a function. */
function messageBuilder({ typename, id, value, valueType } = {}) {
  const target = Address.fromTypeNameId(typename, id);
  return new Message(target, valueFor(`a message to ${typename}`, value, valueType ?? guessed(value)));
}

/** Build a message to an egress. */
function egressMessageBuilder({ typename, value, valueType } = {}) {
  splitTypename(typename, "an egress message");
  return new EgressMessage(typename, valueFor(`a message to the egress ${typename}`, value, valueType));
}

function valueFor(of, value, type) {
  if (value === undefined || value === null) {
    throw new TypeError(`the value of ${of} is missing`);
  }
  if (type === undefined || type === null) {
    throw new TypeError(`${of} needs a valueType: none can be told from ${shown(value)}`);
  }
  checkType(type, of);
  try {
    return new MadeValue(type, value);
  } catch (error) {
    throw told(error, `the value of ${of}`);
  }
}

/** Return the type that a value has beyond doubt. A number with a fraction may be a float or a double. */
function guessed(value) {
  switch (typeof value) {
    case "string":
      return STRING;
    case "boolean":
      return BOOLEAN;
    case "bigint":
      return LONG;
    case "number":
      return Number.isInteger(value) ? INT : undefined;
    default:
      return undefined;
  }
}

const SAME = [TypeError, RangeError, SyntaxError];

/** Return an error that says first what was being done; the one that happened is its cause. */
function told(error, where) {
  const isError = error instanceof Error;
  const kind = SAME.find((one) => error?.constructor === one);
  const text = isError ? error.message : shown(error);
  const name = isError && kind === undefined ? `${error.constructor.name}: ` : "";
  return new (kind ?? Error)(`${where}: ${name}${text}`, { cause: error });
}

module.exports = { EgressMessage, Message, egressMessageBuilder, messageBuilder, told };
