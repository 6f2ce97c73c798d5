"use strict";
// The codec beside protobufjs: random messages both ways, and what no writer should have written.

const assert = require("node:assert/strict");
const { test } = require("node:test");
const { StateFun, egressMessageBuilder, messageBuilder } = require("statefun-sdk");
const { Names, Reader } = require("../lib/wire/reader.js");
const { Writer } = require("../lib/wire/writer.js");
const { request, resultOf, serving, text, wire } = require("./support/requests.js");

/** Numbers that look random and are the same in every run. */
function numbers(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % below;
  };
}

const LENGTHS = [0, 1, 5, 63, 64, 65, 127, 128, 129, 300, 16383, 16384, 70000];
const LETTERS = ["a", "Z", "0", "é", "中", "😀", "\0", "\u{10ffff}"];

function randomText(next) {
  const length = LENGTHS[next(next(4) === 0 ? LENGTHS.length : 6)];
  const letters = next(3) === 0 ? LETTERS : ["a", "b"];
  return Array.from({ length }, () => letters[next(letters.length)]).join("");
}

test("what a function asks for is, byte for byte, what protobuf writes", async () => {
  const { encode } = wire("reqreply.FromFunction");
  for (let seed = 1; seed <= 150; seed++) {
    const next = numbers(seed);
    const messages = Array.from({ length: next(4) }, () => ({ id: `${next(9)}${randomText(next)}`, content: randomText(next) }));
    const records = Array.from({ length: next(3) }, () => randomText(next));
    const set = next(2) === 0 ? null : randomText(next);
    const answer = await serving((context) => {
      context.storage.seen = set;
      records.forEach((one) => context.send(egressMessageBuilder({ typename: "a/b/c", value: one, valueType: StateFun.stringType() })));
      messages.forEach(({ id, content }) => context.send(messageBuilder({ typename: "x/y", id, value: content })));
    }, { specs: [{ name: "seen", type: StateFun.stringType() }] }).statefun.respond(request({ state: { seen: text("old") } }));

    const mutation = set === null ? { state_name: "seen" } : { mutation_type: 1, state_name: "seen", state_value: canonical(set) };
    const expected = {
      invocation_result: {
        state_mutations: [mutation],
        outgoing_messages: messages.map(({ id, content }) => ({ target: { namespace: "x", type: "y", id }, argument: canonical(content) })),
        outgoing_egresses: records.map((one) => ({ egress_namespace: "a/b", egress_type: "c", argument: canonical(one) })),
      },
    };
    const written = Buffer.from(encode.call(wire("reqreply.FromFunction"), expected).finish());
    assert.ok(answer.body.equals(written), `seed ${seed}`);
  }
});

/** A typed value without what is left out: no bytes are no field. */
function canonical(content) {
  const typed = text(content);
  return content === "" ? { typename: typed.typename, has_value: true } : typed;
}

test("whatever protobuf wrote is read", async () => {
  for (let seed = 1; seed <= 150; seed++) {
    const next = numbers(seed);
    const sent = { id: `x${randomText(next)}`, messages: Array.from({ length: 1 + next(5) }, () => randomText(next)) };
    const seen = [];
    await resultOf((context, message) => { seen.push([context.self.id, message.asString(), context.storage.seen]); }, {
      ...{ id: sent.id, messages: sent.messages.map(text) },
      ...{ specs: [{ name: "seen", type: StateFun.stringType() }], state: { other: text("?"), seen: text(sent.id) } },
    });
    assert.deepEqual(seen, sent.messages.map((one) => [sent.id, one, sent.id]), `seed ${seed}`);
  }
});

test("a damaged request is refused, and never more than refused", async () => {
  const whole = request({ state: { seen: text("x") }, messages: [text("hello"), text("é")], caller: { namespace: "a", type: "b", id: "c" } });
  const { statefun } = serving((context, message) => { message.asString(); context.storage.seen = "y"; }, {
    specs: [{ name: "seen", type: StateFun.stringType() }],
  });
  const next = numbers(7);
  for (let length = 0; length < whole.length; length++) {
    assert.equal((await statefun.respond(whole.subarray(0, length))).status, 400, `cut at ${length}`);
  }
  for (let round = 0; round < 3000; round++) {
    const damaged = Buffer.from(whole);
    damaged[next(damaged.length)] = next(256);
    assert.ok([200, 400, 404, 500].includes((await statefun.respond(damaged)).status));
  }
});

/** Fields with the number 4000: a varint, eight bytes, a string, a group with a group in it, four bytes. */
const UNKNOWN = Buffer.from(["80fa0105", "81fa010102030405060708", "82fa0103616263", "83fa0108018b0112018c0184fa01", "85fa0101020304"].join("").replace("1201", "120161"), "hex");

function field(number, ...parts) {
  const writer = new Writer();
  writer.bytesField((number << 3) | 2, Buffer.concat(parts));
  return Buffer.from(writer.take());
}

test("fields that nobody knows are passed over, of every wire type and anywhere", async () => {
  const spread = (...parts) => [UNKNOWN, ...parts.flatMap((part) => [part, UNKNOWN])];
  const string = (number, content) => field(number, Buffer.from(content));
  const target = field(1, ...spread(string(1, "example"), string(2, "user"), string(3, "zoe")));
  const typed = spread(string(1, "io.statefun.types/string"), Buffer.from("1001", "hex"), field(3, ...spread(string(1, "hi"))));
  const state = field(2, ...spread(string(1, "seen"), field(2, ...typed)));
  const invocation = field(3, ...spread(field(1, ...spread(string(3, "caller"))), field(2, ...typed)));
  const body = Buffer.concat(spread(field(100, ...spread(target, state, invocation))));
  let seen;
  const { statefun } = serving((context, message) => {
    seen = [context.self.id, context.storage.seen, message.asString(), context.caller.id];
  }, { specs: [{ name: "seen", type: StateFun.stringType() }] });

  assert.equal((await statefun.respond(body)).status, 200);

  assert.deepEqual(seen, ["zoe", "hi", "hi", "caller"]);
});

test("a field that comes twice is merged, as protobuf says", async () => {
  const one = request({ messages: [text("1")] });
  const two = request({ id: "max", messages: [text("2")] });
  const seen = [];
  const { statefun } = serving((context, message) => { seen.push([context.self.id, message.asString()]); });

  assert.equal((await statefun.respond(Buffer.concat([one, two]))).status, 200);

  assert.deepEqual(seen, [["max", "1"], ["max", "2"]]);
});

for (const [what, hex, why] of [
  ["a varint of more than ten bytes", "ffffffffffffffffffffff", "a number is longer than ten bytes"],
  ["a length beyond the end", "a20605", "it ends before 5 announced bytes have come"],
  ["the field number 0", "0005", "a field cannot have the tag 0"],
  ["the end of a group that was not begun", "0c", "a field has the unknown wire type 4"],
  ["the wire type 6", "0e", "a field has the unknown wire type 6"],
  ["a group that does not end", "0b", "it ends in the middle of a number"],
  ["a group that another ends", "0b14", "a group ends that had not begun"],
  ["groups without end", "0b".repeat(200), "groups are nested too deep"],
  ["no content", "", "the request holds no invocation batch; was its body lost on the way?"],
  ["an id that is not UTF-8", "a206090a071a05616263ff64", "a string is not UTF-8"],
]) {
  test(`${what} is refused with 400`, async () => {
    const { statefun } = serving(() => assert.fail());
    const answer = await statefun.respond(Buffer.from(hex, "hex"));
    assert.equal(answer.status, 400);
    assert.equal(answer.body.toString(), `RequestError: the request is not a ToFunction: ${why}`);
  });
}

test("an id may hold the replacement character itself", async () => {
  await resultOf((context) => assert.equal(context.self.id, "a\ufffdb"), { id: "a\ufffdb" });
});

test("a writer grows, and never touches what was taken", () => {
  const writer = new Writer(8);
  const taken = [];
  for (let size = 0; size < 5000; size += 97) {
    const before = writer.size;
    writer.raw(Buffer.alloc(size, size % 251));
    writer.close(0x0a, before);
    taken.push([size, writer.take()]);
  }
  for (const [size, bytes] of taken) {
    const reader = new Reader(bytes, 0, bytes.length);
    assert.equal(reader.tag(), 0x0a);
    assert.equal(reader.length(), bytes.length);
    assert.ok(bytes.subarray(reader.position).every((byte) => byte === size % 251));
  }
});

test("varints are those of protobuf up to 2^53", () => {
  for (const number of [0, 1, 127, 128, 300, 2 ** 28 - 1, 2 ** 28, 2 ** 31, 2 ** 32, 2 ** 35 + 1, 2 ** 53 - 1]) {
    const writer = new Writer(4);
    writer.varint(number);
    const bytes = writer.take();
    assert.equal(new Reader(bytes, 0, bytes.length).varint(), number);
    assert.equal(new Reader(bytes, 0, bytes.length).bigVarint(), BigInt(number));
  }
  const long = Buffer.from("ffffffffffffffffffff01", "hex");
  assert.throws(() => new Reader(long, 0, long.length).varint(), { message: "a number is longer than ten bytes" });
  assert.throws(() => new Reader(long, 0, long.length).bigVarint(), { message: "a number is longer than ten bytes" });
  const negative = Buffer.from("ffffffffffffffffff01", "hex");
  assert.equal(new Reader(negative, 0, negative.length).bigVarint(), -1n);
});

test("names that share a place are told apart", () => {
  const names = new Names();
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 3000; i++) {
      const name = Buffer.from(`name-${i}-é`);
      assert.equal(names.read(name, 0, name.length), `name-${i}-é`);
    }
  }
  assert.throws(() => names.read(Buffer.from([0xff]), 0, 1), { message: "a string is not UTF-8" });
});
