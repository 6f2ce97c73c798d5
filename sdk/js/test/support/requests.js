"use strict";
// Requests as a runtime makes them, and replies as it reads them: written against protobufjs, so that nothing of the
// SDK's own codec checks itself.

const path = require("node:path");
const protobuf = require("protobufjs");
const { StateFun } = require("statefun-sdk");

const PROTOS = path.join(__dirname, "../../../../protos");
const root = new protobuf.Root();
root.resolvePath = (_origin, target) => path.join(PROTOS, target);
root.loadSync(
  ["sdk/request-reply.proto", "types/types.proto", "io/kafka-egress.proto", "io/kinesis-egress.proto", "extensions/record.proto"],
  { keepCase: true },
);

const ToFunction = root.lookupType("io.statefun.sdk.reqreply.ToFunction");
const FromFunction = root.lookupType("io.statefun.sdk.reqreply.FromFunction");

/** Return the message class of a name within `io.statefun.sdk`, or with its whole name. */
function wire(name) {
  return root.lookupType(name.startsWith("statefun.") ? name : `io.statefun.sdk.${name}`);
}

/** Return the bytes of a message of the wire. */
function encode(name, content) {
  return Buffer.from(wire(name).encode(wire(name).fromObject(content)).finish());
}

/** Return what bytes of the wire say, as plain objects: longs and bytes as strings. */
function decode(name, bytes) {
  return wire(name).toObject(wire(name).decode(bytes), { longs: String, bytes: String });
}

const TEXT = "io.statefun.types/string";
const INT = "io.statefun.types/int";

function value(typename, bytes) {
  return bytes === undefined ? { typename } : { typename, has_value: true, value: bytes };
}

function text(content) {
  return value(TEXT, encode("types.StringWrapper", { value: content }));
}

function int(content) {
  return value(INT, encode("types.IntWrapper", { value: content }));
}

/** Return the bytes of a ToFunction for `example/user` of the id `zoe`, or what is given instead; `caller` may be one for each message. */
function request({ namespace = "example", type = "user", id = "zoe", state = {}, messages = [text("hello")], caller } = {}) {
  const states = Object.entries(state).map(([name, typed]) => ({ state_name: name, ...(typed && { state_value: typed }) }));
  const invocations = messages.map((argument, place) => ({ argument, ...(caller && { caller: caller[place] ?? caller }) }));
  const invocation = { target: { namespace, type, id }, state: states, invocations };
  return Buffer.from(ToFunction.encode(ToFunction.fromObject({ invocation })).finish());
}

/** Return the result in a FromFunction, as plain objects. */
function result(bytes) {
  return FromFunction.toObject(FromFunction.decode(bytes), { longs: String, bytes: Buffer, enums: String, defaults: false }).invocation_result;
}

/** Return the bytes of a bundle of requests. */
function bundle(...requests) {
  return Buffer.concat(requests.flatMap((one) => [varint(one.length), one]));
}

function varint(value) {
  return Buffer.from(protobuf.Writer.create().uint32(value).finish());
}

const BUNDLE = "application/vnd.statefun.bundle";
const OUTCOMES = protobuf.parse(
  `syntax = "proto3";
   message BundleOutcome { uint32 index = 1; oneof outcome { bytes reply = 2; BundleFailure failure = 3; } }
   message BundleFailure { uint32 status = 1; string text = 2; uint32 retry_after_s = 3; }`,
).root.lookupType("BundleOutcome");

/** Return the outcomes in the answer to a bundle, in the order in which they came. */
function outcomes(bytes) {
  const reader = protobuf.Reader.create(bytes);
  const found = [];
  while (reader.pos < reader.len) {
    found.push(OUTCOMES.toObject(OUTCOMES.decodeDelimited(reader), { bytes: Buffer, defaults: false }));
  }
  return found.map((one) => ({ index: 0, ...one }));
}

/** Return an application that serves one function `example/user`, and what it logged. */
function serving(fn, { specs = [], ...options } = {}) {
  const logged = [];
  const statefun = new StateFun({ log: (...line) => logged.push(line), ...options });
  statefun.bind({ typename: "example/user", specs, fn });
  return { statefun, logged };
}

/** Return the result of one request to such a function, or throw what it failed with. */
async function resultOf(fn, { specs, ...content } = {}) {
  const answer = await serving(fn, { specs }).statefun.respond(request(content));
  if (answer.status !== 200) {
    throw new Error(answer.body.toString());
  }
  return result(answer.body);
}

module.exports = {
  ...{ BUNDLE, INT, TEXT },
  ...{ bundle, decode, encode, int, outcomes, request, result, resultOf, serving, text, value, wire },
};
