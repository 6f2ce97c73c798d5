"use strict";
// A ToFunction as it is read: the address, its states, and the messages to it.

const { Address } = require("./address.js");
const { EXTENSION } = require("./record.js");
const { ReceivedValue } = require("./types/values.js");
const { Reader, WireError } = require("./wire/reader.js");

const INVOCATION_BATCH = (100 << 3) | 2;

/** One message of a batch. The caller is null when it came from an ingress. */
class Invocation {
  constructor() {
    this.caller = null;
    this.argument = null;
    this.record = null;
  }
}

/** What a ToFunction holds. A field that comes twice is merged, as protobuf says. */
class Request {
  constructor() {
    this.namespace = "";
    this.name = "";
    this.id = "";
    this.states = [];
    this.invocations = [];
  }
}

/** Read the ToFunction between two positions of a buffer. */
function readRequest(bytes, start, end, names) {
  const reader = new Reader(bytes, start, end);
  let request = null;
  while (!reader.isAtEnd) {
    const tag = reader.tag();
    if (tag === INVOCATION_BATCH) {
      request ??= new Request();
      inside(reader, (content) => readBatch(content, request, names));
    } else {
      reader.skip(tag);
    }
  }
  if (request === null) {
    throw new WireError("the request holds no invocation batch; was its body lost on the way?");
  }
  return request;
}

/** Read a message within a message. */
function inside(reader, read) {
  const outer = reader.end;
  reader.end = reader.length();
  read(reader);
  reader.end = outer;
}

function readBatch(reader, request, names) {
  while (!reader.isAtEnd) {
    const tag = reader.tag();
    switch (tag) {
      case 0x0a:
        readAddress(reader, request, names);
        break;
      case 0x12:
        request.states.push(readState(reader, names));
        break;
      case 0x1a:
        request.invocations.push(readInvocation(reader, names));
        break;
      default:
        reader.skip(tag);
    }
  }
}

function readAddress(reader, into, names) {
  const outer = reader.end;
  reader.end = reader.length();
  while (!reader.isAtEnd) {
    const tag = reader.tag();
    if (tag === 0x0a) {
      into.namespace = reader.name(names);
    } else if (tag === 0x12) {
      into.name = reader.name(names);
    } else if (tag === 0x1a) {
      into.id = reader.text();
    } else {
      reader.skip(tag);
    }
  }
  reader.end = outer;
}

function readState(reader, names) {
  const state = { name: "", value: new ReceivedValue() };
  const outer = reader.end;
  reader.end = reader.length();
  while (!reader.isAtEnd) {
    const tag = reader.tag();
    if (tag === 0x0a) {
      state.name = reader.name(names);
    } else if (tag === 0x12) {
      state.value.parse(reader, reader.length(), names);
    } else {
      reader.skip(tag);
    }
  }
  reader.end = outer;
  return state;
}

function readInvocation(reader, names) {
  const invocation = new Invocation();
  const caller = { namespace: "", name: "", id: "" };
  invocation.argument = new ReceivedValue();
  const outer = reader.end;
  reader.end = reader.length();
  while (!reader.isAtEnd) {
    const tag = reader.tag();
    if (tag === 0x12) {
      invocation.argument.parse(reader, reader.length(), names);
    } else if (tag === 0x0a) {
      readAddress(reader, caller, names);
      invocation.caller = callerOf(caller);
    } else if (tag === EXTENSION) {
      invocation.record = readExtension(reader);
    } else {
      reader.skip(tag);
    }
  }
  reader.end = outer;
  return invocation;
}

/** Some runtimes write an address without content for a message from an ingress. */
function callerOf({ namespace, name, id }) {
  return namespace === "" && name === "" && id === "" ? null : Address.fromParts(namespace, name, id);
}

function readExtension(reader) {
  const end = reader.length();
  const record = { bytes: reader.bytes, start: reader.position, end };
  reader.position = end;
  return record;
}

module.exports = { readRequest };
