"use strict";
// What values become on the wire, what comes back, and what is refused with a word about where it was.

const assert = require("node:assert/strict");
const { test } = require("node:test");
const protobuf = require("protobufjs");
const { EmptyMessage } = require("./support/generated.js");
const { StateFun, Type, messageBuilder } = require("statefun-sdk");
const { encode, request, resultOf, serving, value, wire } = require("./support/requests.js");

const BIG = 2n ** 63n;

/** Types of the contract: the wrapper message, and values with what they are on the wire. */
const PRIMITIVES = [
  [StateFun.booleanType(), "bool", "types.BooleanWrapper", [true, false]],
  [StateFun.intType(), "int", "types.IntWrapper", [0, 1, -1, 2147483647, -2147483648]],
  [StateFun.longType(), "long", "types.LongWrapper", [0n, 1n, -1n, BIG - 1n, -BIG, 2n ** 53n + 1n]],
  [StateFun.floatType(), "float", "types.FloatWrapper", [0, 1.5, -0.25, Infinity, -Infinity]],
  [StateFun.doubleType(), "double", "types.DoubleWrapper", [0, 0.1, -1e300, Number.MIN_VALUE, Infinity]],
  [StateFun.stringType(), "string", "types.StringWrapper", ["", "a", "\x7f\x80", "é中😀", "x".repeat(5000), "\0"]],
];

function forProtobufjs(one) {
  return typeof one === "bigint" ? protobuf.util.Long.fromString(String(one)) : one;
}

for (const [type, name, wrapper, values] of PRIMITIVES) {
  for (const one of values) {
    const shown = `${String(one).slice(0, 25).replace("\0", "NUL")}`;
    test(`${name} ${shown} is written as protobuf writes it, and read back`, () => {
      const bytes = Buffer.from(wire(wrapper).encode({ value: forProtobufjs(one) }).finish());
      const canonical = one === 0 || one === 0n || one === false || one === "" ? Buffer.alloc(0) : bytes;

      assert.equal(type.typename, `io.statefun.types/${name}`);
      assert.deepEqual(Buffer.from(type.serialize(one)), canonical);
      assert.equal(type.deserialize(bytes), one);
      assert.equal(type.deserialize(canonical), one);
      // Fields of a later version, before and behind.
      assert.equal(type.deserialize(Buffer.concat([Buffer.from("7a0178", "hex"), bytes, Buffer.from("8001ff01", "hex")])), one);
    });
  }
}

test("a minus before zero is kept", () => {
  assert.deepEqual(StateFun.doubleType().serialize(-0), Buffer.from("090000000000000080", "hex"));
  assert.ok(Object.is(StateFun.floatType().deserialize(StateFun.floatType().serialize(-0)), -0));
});

test("a float is what 32 bits hold, from the moment at which it is set", async () => {
  await resultOf(
    (context) => {
      context.storage.ratio = 0.1;
      assert.equal(context.storage.ratio, Math.fround(0.1));
    },
    { specs: [{ name: "ratio", type: StateFun.floatType() }], state: { ratio: null } },
  );
});

test("a safe whole number is taken as a long, and a BigInt comes back", async () => {
  await resultOf(
    (context) => {
      context.storage.total = 5;
      assert.equal(context.storage.total, 5n);
    },
    { specs: [{ name: "total", type: StateFun.longType() }], state: { total: null } },
  );
});

/** What the stock SDK stores as another value without a word. */
const REFUSED = [
  ["intType", NaN, "TypeError", "takes a whole number, not NaN (number)"],
  ["intType", "7", "TypeError", "takes a whole number, not '7' (string)"],
  ["intType", 1.5, "TypeError", "takes a whole number, not 1.5 (number)"],
  ["intType", 2 ** 31, "RangeError", "2147483648 (number) does not fit io.statefun.types/int, which has 32 bits; longType() takes a BigInt"],
  ["intType", 5n, "TypeError", "takes a whole number, not 5n (bigint)"],
  ["intType", {}, "TypeError", "takes a whole number, not {}"],
  ["longType", BIG, "RangeError", "does not fit io.statefun.types/long, which has 64 bits"],
  ["longType", 2 ** 53, "TypeError", "takes a BigInt or a safe whole number, not 9007199254740992 (number)"],
  ["longType", "5", "TypeError", "takes a BigInt or a safe whole number, not '5' (string)"],
  ["floatType", NaN, "TypeError", "takes a number, not NaN (number)"],
  ["floatType", 1e300, "RangeError", "does not fit io.statefun.types/float, which has 32 bits; doubleType() takes it"],
  ["doubleType", "1", "TypeError", "takes a number, not '1' (string)"],
  ["doubleType", NaN, "TypeError", "takes a number, not NaN (number)"],
  ["booleanType", 1, "TypeError", "takes true or false, not 1 (number)"],
  ["stringType", 5, "TypeError", "takes a string, not 5 (number)"],
  ["stringType", ["a"], "TypeError", "takes a string, not [ 'a' ]"],
  ["stringType", "a\ud800", "TypeError", "a value of io.statefun.types/string has half a surrogate pair"],
];

for (const [maker, bad, kind, why] of REFUSED) {
  const type = StateFun[maker]();
  const shown = typeof bad === "string" ? JSON.stringify(bad) : typeof bad === "object" ? JSON.stringify(bad) : String(bad);
  test(`${shown} in a state of ${maker} is an error that names the state`, async () => {
    const { statefun } = serving((context) => { context.storage.seen = bad; }, { specs: [{ name: "seen", type }] });

    const answer = await statefun.respond(request({ state: { seen: null } }));

    assert.equal(answer.status, 500);
    const said = answer.body.toString();
    assert.ok(said.startsWith(`${kind}: setting state 'seen' (${type.typename}) of function 'example/user': `), said);
    assert.ok(said.includes(why), said);
    assert.throws(() => messageBuilder({ typename: "a/b", id: "c", value: bad, valueType: type }), { message: /^the value of a message to a\/b: / });
  });
}

const JSON_TYPE = StateFun.jsonType("example/json");

test("JSON is written without blanks, and read", () => {
  const cart = { items: ["é", null, 1.5], deep: { yes: true } };

  assert.equal(JSON_TYPE.serialize(cart).toString(), '{"items":["é",null,1.5],"deep":{"yes":true}}');
  assert.deepEqual(JSON_TYPE.deserialize(JSON_TYPE.serialize(cart)), cart);
  assert.deepEqual(JSON_TYPE.deserialize(new Uint8Array(Buffer.from('{"a":1}'))), { a: 1 });
});

for (const [what, bad, why] of [
  ["a function", () => {}, /^example\/json is JSON, which has no /],
  ["a symbol", Symbol("x"), /^example\/json is JSON, which has no Symbol\(x\)/],
  ["NaN", NaN, /^example\/json is JSON, which would write NaN as null$/],
  ["a number within that JSON has not", { cart: { total: Infinity } }, /^example\/json is JSON, which would write Infinity at "total" as null$/],
  ["a Map", new Map([[1, 2]]), /would write a Map as \{\}/],
  ["a BigInt", 5n, /BigInt/],
]) {
  test(`${what} is refused where JSON would lose it`, () => {
    assert.throws(() => JSON_TYPE.serialize(bad), { name: "TypeError", message: why });
  });
}

test("messages of google-protobuf and of protobufjs are values", () => {
  const Counter = protobuf.parse('syntax = "proto3"; message Counter { int32 seen = 1; }').root.lookupType("Counter");
  const type = StateFun.protoType("example/Counter", Counter);
  assert.deepEqual(Buffer.from(type.serialize(Counter.create({ seen: 7 }))), Buffer.from("0807", "hex"));
  assert.equal(type.deserialize(Buffer.from("0807", "hex")).seen, 7);

  const google = StateFun.protoType("type.googleapis.com/google.protobuf.Empty", EmptyMessage);
  assert.deepEqual(Buffer.from(google.serialize(new EmptyMessage())), Buffer.alloc(0));
  assert.ok(google.deserialize(Buffer.alloc(0)) instanceof EmptyMessage);
  assert.throws(() => google.serialize({}), { message: "type.googleapis.com/google.protobuf.Empty takes messages of its class, not {}" });
  assert.throws(() => StateFun.protoType("a/b", {}), { message: "the type a/b needs the class that protobuf's compiler generated, not {}" });
});

test("a type of one's own has a class or two functions", async () => {
  class Reversed extends Type {
    constructor() {
      super("example/reversed");
    }
    serialize(text) {
      return Buffer.from([...text].reverse().join(""));
    }
    deserialize(bytes) {
      return [...bytes.toString()].reverse().join("");
    }
  }
  const dates = StateFun.customType("example/date", (date) => Buffer.from(date.toISOString()), (bytes) => new Date(bytes.toString()));
  const specs = [{ name: "word", type: new Reversed() }, { name: "day", type: dates }];

  const result = await resultOf(
    (context) => {
      assert.equal(context.storage.word, "abc");
      context.storage.word += "d";
      assert.equal(context.storage.word, "abcd");
      context.storage.day = new Date(0);
      assert.deepEqual(context.storage.day, new Date(0));
    },
    { specs, state: { word: value("example/reversed", Buffer.from("cba")), day: null } },
  );

  assert.deepEqual(result.state_mutations.map((one) => one.state_value.value.toString()), ["dcba", "1970-01-01T00:00:00.000Z"]);
});

test("what a serializer returns must be bytes, and what it throws is told with the state", async () => {
  const texts = StateFun.customType("example/bad", () => "text", () => null);
  class OwnError extends Error {}
  const throws = StateFun.customType("example/bad", () => { throw new OwnError("no"); }, () => null);
  const set = (context) => { context.storage.x = 1; };

  await assert.rejects(resultOf(set, { specs: [{ name: "x", type: texts }], state: { x: null } }), {
    message: "TypeError: setting state 'x' (example/bad) of function 'example/user': the serializer of example/bad must return a Buffer, not 'text' (string)",
  });
  await assert.rejects(resultOf(set, { specs: [{ name: "x", type: throws }], state: { x: null } }), {
    message: "Error: setting state 'x' (example/bad) of function 'example/user': OwnError: no",
  });
});

test("what a function keeps of a value does not hold the request in memory, and changes nothing in it", async () => {
  const raw = StateFun.customType("example/raw", (bytes) => bytes, (bytes) => bytes);
  const kept = [];
  await resultOf((_context, message) => { kept.push(message.as(raw), message.rawValueBytes); }, {
    messages: [value("example/raw", Buffer.alloc(50_000, 7)), value("example/raw", Buffer.alloc(500_000, 7))],
  });
  assert.deepEqual(kept.map((bytes) => bytes.length), [50_000, 50_000, 500_000, 500_000]);
  assert.ok(kept.every((bytes) => Buffer.isBuffer(bytes) && bytes.buffer.byteLength < bytes.length + 10_000));
});

test("types have a typename", () => {
  for (const [bad, why] of [["json", "'json' (string)"], ["", "'' (string)"], [undefined, "undefined"], ["/x", "'/x' (string)"]]) {
    assert.throws(() => StateFun.jsonType(bad), { message: `the typename of a type must be of the form <namespace>/<name>, not ${why}` });
  }
  assert.throws(() => StateFun.customType("a/b", null, () => null), { message: "the type a/b needs a function serialize, not null" });
  assert.equal(encode("types.IntWrapper", { value: 1 }).toString("hex"), "0d01000000");
});
