"use strict";
// What a request is answered with when it fails, and what is logged of it.

const { types } = require("node:util");
const { shown } = require("./address.js");

const MESSAGE_MAX = 1000;
const STACK_MAX = 20_000;
const QUIET_MS = 60_000;
const KINDS_MAX = 100;
const BUILT_IN = new Set(["Error", "TypeError", "RangeError", "SyntaxError", "ReferenceError", "EvalError", "URIError"]);

/** Wrong for another reason than a function: `status` is what the request is answered with. */
class RequestError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }

  get name() {
    return "RequestError";
  }
}

/** Turns what was thrown into text, and logs each kind once a minute: a runtime tries again many times. */
class Failures {
  #log;
  #showStacks;
  #now;
  #said = new Map();

  constructor({ log, showStacks, now }) {
    this.#log = log;
    this.#showStacks = showStacks;
    this.#now = now;
  }

  /** Log what was thrown; return the status and the text that tell the runtime's operator of it. */
  tell(error, address) {
    const text = describe(error);
    const status = error instanceof RequestError ? error.status : 500;
    this.#say(error, address === null ? text : `${address}: ${text}`);
    return { status, text: this.#showStacks ? stackOf(error, text).slice(0, STACK_MAX) : text };
  }

  #say(error, text) {
    const kind = kindOf(error);
    const before = this.#said.get(kind);
    const nowMs = this.#now();
    if (before !== undefined && nowMs - before.saidMs < QUIET_MS) {
      before.leftOut += 1;
      return;
    }
    this.#said.delete(kind);
    if (this.#said.size >= KINDS_MAX) {
      // The one that was said longest ago.
      this.#said.delete(this.#said.keys().next().value);
    }
    this.#said.set(kind, { saidMs: nowMs, leftOut: 0 });
    const more = before?.leftOut ? ` (and ${before.leftOut} times more since it was said last)` : "";
    try {
      // Where in here a request was refused says nothing to anybody.
      this.#log(`statefun: a request failed: ${text}${more}`, error instanceof RequestError ? undefined : error);
    } catch {
      // There is nobody left to tell; the runtime is told all the same.
    }
  }
}

/** Whether it is an error, also one of another realm, as test runners and `vm` make them. */
function isError(thrown) {
  return thrown instanceof Error || types.isNativeError(thrown);
}

/** Return the type and message of what was thrown. */
function describe(error) {
  try {
    return describeUnguarded(error);
  } catch {
    // An error that cannot be printed is still reported.
    return "Error";
  }
}

function describeUnguarded(error) {
  if (!isError(error)) {
    return `Error: ${shown(error)} was thrown, which is no Error`;
  }
  const kind = nameOf(error);
  let message = String(error.message);
  if (message.length > MESSAGE_MAX) {
    message = `${message.slice(0, MESSAGE_MAX)}… (${message.length} characters)`;
  }
  return (message === "" ? kind : `${kind}: ${message}`).toWellFormed();
}

/** A class of one's own mostly has no name of its own: it is the constructor that has one. */
function nameOf(error) {
  const name = String(error.name);
  const own = error.constructor?.name;
  return BUILT_IN.has(name) && typeof own === "string" && own !== "" ? own : name;
}

/** An error's type and the line that threw it. */
function kindOf(error) {
  try {
    const line = /^\s+at .*$/m.exec(String(error?.stack ?? ""))?.[0] ?? "";
    return isError(error) ? `${nameOf(error)} ${line}` : typeof error;
  } catch {
    return "";
  }
}

function stackOf(error, text) {
  const stack = isError(error) ? String(error.stack) : text;
  const cause = isError(error?.cause) ? `\nbecause of ${error.cause.stack}` : "";
  return stack + cause;
}

module.exports = { Failures, RequestError };
