"use strict";
// What a function sees, and what comes of what it does.

const assert = require("node:assert/strict");
const { inspect } = require("node:util");
const { test } = require("node:test");
const {
  Address,
  EgressMessage,
  Message,
  StateFun,
  egressMessageBuilder,
  kafkaEgressMessage,
  kinesisEgressMessage,
  messageBuilder,
} = require("statefun-sdk");
const { INT, TEXT, decode, encode, int, request, result, resultOf, serving, text, value } = require("./support/requests.js");

const SEEN = { name: "seen", type: StateFun.intType() };
const CART = { name: "cart", type: StateFun.jsonType("example/Cart") };
const SPECS = [SEEN, CART];
const NOTHING = { seen: null, cart: null };
const TO = { typename: "example/user", id: "max" };
const to = (content) => messageBuilder({ ...TO, value: content });

test("a state is read, set and deleted as a property, and only what was touched is written", async () => {
  const found = await resultOf(
    (context) => {
      assert.equal(context.storage.seen, 7);
      context.storage.seen += 1;
      assert.equal(context.storage.seen, 8);
      assert.equal(context.storage.cart, null);
    },
    { specs: SPECS, state: { seen: int(7), cart: null } },
  );

  assert.deepEqual(found.state_mutations, [
    { mutation_type: "MODIFY", state_name: "seen", state_value: int(8) },
  ]);
});

for (const [how, remove] of [
  ["null", (storage) => { storage.seen = null; }],
  ["undefined", (storage) => { storage.seen = undefined; }],
  ["delete", (storage) => delete storage.seen],
]) {
  test(`a state is deleted by ${how}`, async () => {
    const found = await resultOf(
      (context) => {
        context.storage.seen = 9;
        remove(context.storage);
        assert.equal(context.storage.seen, null);
      },
      { specs: [SEEN], state: { seen: int(7) } },
    );
    // DELETE is the default, which is not written.
    assert.deepEqual(found.state_mutations, [{ state_name: "seen" }]);
  });
}

test("a state of zero bytes is a value, one without has_value is none", async () => {
  for (const [state, seen] of [[value(INT, Buffer.alloc(0)), 0], [value(INT), null], [null, null]]) {
    await resultOf((context) => assert.equal(context.storage.seen, seen), { specs: [SEEN], state: { seen: state } });
  }
});

test("a change within an object is seen when it is set again", async () => {
  const found = await resultOf(
    (context) => {
      const cart = { items: ["pear"] };
      context.storage.cart = cart;
      cart.items.push("apple");
      context.storage.cart.items.push("plum");
      assert.deepEqual(context.storage.cart, { items: ["pear"] });
    },
    { specs: [CART], state: { cart: null } },
  );
  assert.equal(found.state_mutations[0].state_value.value.toString(), '{"items":["pear"]}');
});

test("a name that is no state is refused, read or set, with the names that are", async () => {
  const why = "TypeError: the function 'example/user' has no state 'sen'; its specs have 'seen', 'cart'";
  for (const wrong of [(storage) => storage.sen, (storage) => { storage.sen = 1; }, (storage) => delete storage.sen]) {
    await assert.rejects(resultOf((context) => { wrong(context.storage); }, { specs: SPECS, state: NOTHING }), { message: why });
  }
  await assert.rejects(resultOf((context) => { context.storage.seen = 1; }), {
    message: "TypeError: the function 'example/user' has no state 'seen'; its specs have none",
  });
});

test("states are listed, copied and printed like properties", async () => {
  await resultOf(
    async (context) => {
      assert.deepEqual(Object.keys(context.storage), ["seen", "cart"]);
      assert.deepEqual({ ...context.storage }, { seen: 7, cart: null });
      assert.equal("seen" in context.storage, true);
      assert.equal("sen" in context.storage, false);
      assert.equal(JSON.stringify(context.storage), '{"seen":7,"cart":null}');
      assert.equal(inspect(context.storage), "{ seen: 7, cart: null }");
      assert.equal(await context.storage, context.storage);
      assert.throws(() => Object.defineProperty(context.storage, "seen", { value: 1 }), TypeError);
    },
    { specs: SPECS, state: { seen: int(7), cart: null } },
  );
});

test("a state of another type is refused by name", async () => {
  await assert.rejects(resultOf((context) => context.storage.seen, { specs: [SEEN], state: { seen: text("7") } }), {
    message:
      "TypeError: reading state 'seen' (io.statefun.types/int) of function 'example/user': it is of the type 'io.statefun.types/string', not io.statefun.types/int",
  });
});

test("states that the runtime does not know are asked for, in the order of the specs", async () => {
  const { statefun } = serving(() => assert.fail("it must not be invoked"), {
    specs: [
      { ...SEEN, expireAfterWrite: 5 },
      { ...CART, expireAfterCall: 2 ** 40 },
      { name: "known", type: SEEN.type },
      { name: "never", type: SEEN.type, expireAfterCall: 0, expireAfterWrite: -1 },
    ],
  });

  const answer = await statefun.respond(request({ state: { known: null, other: null } }));

  const json = "example/Cart";
  assert.deepEqual(decode("reqreply.FromFunction", answer.body).incomplete_invocation_context.missing_values, [
    { state_name: "seen", expiration_spec: { mode: 1, expire_after_millis: "5" }, type_typename: INT },
    { state_name: "cart", expiration_spec: { mode: 2, expire_after_millis: "1099511627776" }, type_typename: json },
    { state_name: "never", type_typename: INT },
  ]);
});

test("messages, records and delayed messages keep their order", async () => {
  const found = await resultOf((context) => {
    context.send(to("1"));
    context.send(egressMessageBuilder({ typename: "example/out", value: "a", valueType: StateFun.stringType() }));
    context.sendAfter(1000, to("later"), "token");
    context.send(to("2"));
    context.cancelDelayedMessage("token");
    context.sendAfter(0, to("soon"), null);
  });

  const target = { namespace: "example", type: "user", id: "max" };
  assert.deepEqual(found, {
    outgoing_messages: [{ target, argument: text("1") }, { target, argument: text("2") }],
    outgoing_egresses: [{ egress_namespace: "example", egress_type: "out", argument: text("a") }],
    delayed_invocations: [
      { delay_in_ms: "1000", target, argument: text("later"), cancellation_token: "token" },
      { is_cancellation_request: true, cancellation_token: "token" },
      { target, argument: text("soon") },
    ],
  });
});

test("a message that came can be sent on", async () => {
  const found = await resultOf((context, message) => {
    context.send(message);
    context.send(new Message(Address.fromTypeNameId("a.b/c/d", "x"), message.typedValue));
  });
  assert.deepEqual(found.outgoing_messages, [
    { target: { namespace: "example", type: "user", id: "zoe" }, argument: text("hello") },
    { target: { namespace: "a.b/c", type: "d", id: "x" }, argument: text("hello") },
  ]);
});

test("a function knows itself and its caller, and its messages one after another", async () => {
  const seen = [];
  const caller = [{ namespace: "a", type: "b", id: "c" }, { namespace: "a", type: "b", id: "d" }];
  const content = { caller, messages: [text("1"), text("2")] };
  await resultOf((context, message) => {
    seen.push([String(context.self), String(context.caller), message.asString(), message.targetAddress === context.self]);
  }, content);
  await resultOf((context) => { seen.push(context.caller); });
  await resultOf((context) => { seen.push(context.caller); }, { caller: {} });

  assert.deepEqual(seen, [["example/user/zoe", "a/b/c", "1", true], ["example/user/zoe", "a/b/d", "2", true], null, null]);
});

test("a message has no value, or one of a type", async () => {
  await resultOf((_context, message) => {
    assert.equal(message.asString(), null);
    assert.equal(message.as(CART.type), null);
    assert.equal(message.isString(), true);
    assert.throws(() => message.rawValueBytes, { message: "the message to example/user/zoe has no value" });
  }, { messages: [value(TEXT)] });
  await resultOf((_context, message) => {
    assert.equal(message.isInt(), true);
    assert.equal(message.isLong(), false);
    assert.equal(message.valueTypeName, INT);
    assert.equal(message.rawValueBytes.toString("hex"), "0d07000000");
    assert.throws(() => message.asLong(), {
      name: "TypeError",
      message: "the message to example/user/zoe: it is of the type 'io.statefun.types/int', not io.statefun.types/long",
    });
    assert.throws(() => message.as("int"), { message: "the type of a message must be one of StateFun's, like StateFun.intType(), not 'int' (string)" });
  }, { messages: [int(7)] });
});

test("a message that was built can be read", () => {
  for (const [content, type, read] of [
    ["x", "string", "asString"], [5, "int", "asInt"], [5n, "long", "asLong"], [true, "bool", "asBoolean"],
  ]) {
    const message = to(content);
    assert.equal(message.valueTypeName, `io.statefun.types/${type}`);
    assert.equal(message[read](), content);
  }
  const message = messageBuilder({ ...TO, value: { a: 1 }, valueType: CART.type });
  assert.deepEqual(message.as(CART.type), { a: 1 });
  assert.deepEqual(message.as(StateFun.jsonType("example/Cart")), { a: 1 });
  assert.equal(messageBuilder({ ...TO, value: 0.5, valueType: StateFun.doubleType() }).asDouble(), 0.5);
  assert.equal(messageBuilder({ ...TO, value: 0.5, valueType: StateFun.floatType() }).asFloat(), 0.5);
});

for (const [content, why] of [
  [{ id: "a", value: 1 }, "the typename of an address must be of the form <namespace>/<name>, not undefined"],
  [{ typename: "nothing", id: "a", value: 1 }, "the typename of an address must be of the form <namespace>/<name>, not 'nothing' (string)"],
  [{ typename: "a/b", value: 1 }, "the id of an address is missing"],
  [{ typename: "a/b", id: "", value: 1 }, "the id of an address is missing"],
  [{ typename: "a/b", id: 7, value: 1 }, "the id of an address must be a string, not 7 (number)"],
  [{ typename: "a/b", id: "\udc00", value: 1 }, "the id of an address has half a surrogate pair, and so is no text: '\\udc00' (string)"],
  [{ typename: "a/b", id: "c" }, "the value of a message to a/b is missing"],
  [{ typename: "a/b", id: "c", value: 1.5 }, "a message to a/b needs a valueType: none can be told from 1.5 (number)"],
  [{ typename: "a/b", id: "c", value: {} }, "a message to a/b needs a valueType: none can be told from {}"],
  [{ typename: "a/b", id: "c", value: 1, valueType: "int" }, "the type of a message to a/b must be one of StateFun's, like StateFun.intType(), not 'int' (string)"],
  [{ typename: "a/b", id: "c", value: 2 ** 40 }, "the value of a message to a/b: 1099511627776 (number) does not fit io.statefun.types/int, which has 32 bits; longType() takes a BigInt"],
]) {
  test(`no message is built without ${why}`, () => {
    assert.throws(() => messageBuilder(content), { message: why });
  });
}

test("what cannot be sent is refused at once", async () => {
  await resultOf((context) => {
    for (const [wrong, why] of [
      [() => context.send("x"), "send takes what messageBuilder or one of the egress builders made, not 'x' (string)"],
      [() => context.sendAfter(1, egressMessageBuilder({ typename: "a/b", value: "x", valueType: StateFun.stringType() })), /^sendAfter takes what messageBuilder made, not EgressMessage/],
      [() => context.sendAfter(0.5, to("x")), "the delay of sendAfter must be a whole number of milliseconds, not 0.5 (number)"],
      [() => context.sendAfter(-1, to("x")), "the delay of sendAfter must be a whole number of milliseconds, not -1 (number)"],
      [() => context.sendAfter("1", to("x")), "the delay of sendAfter must be a whole number of milliseconds, not '1' (string)"],
      [() => context.sendAfter(1, to("x"), 7), "the cancellation token of sendAfter must be a string, not 7 (number)"],
      [() => context.send(new Message("a/b/c", to("x").typedValue)), "the target of a message must be an Address, not 'a/b/c' (string)"],
      [() => context.send(new Message(new Address("a", "b", 7, "a/b"), to("x").typedValue)), "the id of the target of a message must be a string, not 7 (number)"],
      [() => context.sendAfter(1, new Message(Address.fromParts("a", "b", "c"), "x")), "the typed value of a message must be one of another message, not 'x' (string)"],
      [() => context.send(new EgressMessage("a/b", "x")), "the typed value of a message must be one of another message, not 'x' (string)"],
      [() => context.send(new EgressMessage("b", to("x").typedValue)), "the typename of an egress message must be of the form <namespace>/<name>, not 'b' (string)"],
      [() => context.cancelDelayedMessage(""), "the cancellation token is empty; give the one that the message was sent with"],
      [() => context.cancelDelayedMessage(), "the cancellation token of cancelDelayedMessage must be a string, not undefined"],
      [() => egressMessageBuilder({ typename: "a/b", value: "x" }), "a message to the egress a/b needs a valueType: none can be told from 'x' (string)"],
    ]) {
      assert.throws(wrong, { name: "TypeError", message: why });
    }
  });
});

test("whatever can be awaited is awaited before the next message", async () => {
  const order = [];
  await resultOf((_context, message) => {
    const name = message.asString();
    order.push(`begin ${name}`);
    const done = () => order.push(`end ${name}`);
    // No Promise, and no subclass of it: what query builders and other libraries return.
    return { then: (resolve) => setTimeout(() => resolve(done()), 5) };
  }, { messages: [text("1"), text("2")] });
  assert.deepEqual(order, ["begin 1", "end 1", "begin 2", "end 2"]);
});

test("a batch may have functions that wait and others that do not", async () => {
  const found = await resultOf((context, message) => {
    context.storage.seen += 1;
    return message.asString() === "wait" ? Promise.resolve() : undefined;
  }, { specs: [SEEN], state: { seen: int(0) }, messages: ["now", "wait", "now", "wait", "now"].map(text) });
  assert.deepEqual(found.state_mutations[0].state_value, int(5));
});

test("what is asked for after a batch is over is an error, not lost without a word", async () => {
  const late = [];
  const fn = (context, message) => {
    setImmediate(() => {
      late.push(assert.throws(() => context.send(to("late")), {
        message: "the invocation of example/user/zoe is over, and what is asked for now would be lost; return the promise of what goes on",
      }));
      assert.throws(() => context.sendAfter(1, to("late")), Error);
      assert.throws(() => context.cancelDelayedMessage("t"), Error);
      assert.throws(() => { context.storage.seen = 5; }, /is over/);
      late.push("told");
    });
    if (message.asString() === "boom") {
      throw new Error("boom");
    }
  };
  await resultOf(fn, { specs: [SEEN], state: { seen: null } });
  await resultOf(fn, { specs: [SEEN], state: { seen: null }, messages: [text("boom")] }).catch(() => {});
  await new Promise((resolve) => { setTimeout(resolve, 20); });
  assert.equal(late.filter((one) => one === "told").length, 2);
});

const KAFKA = "io.statefun.sdk.egress.KafkaProducerRecord";

function record(message) {
  assert.ok(message instanceof EgressMessage);
  assert.equal(message.typedValue.typename, `type.googleapis.com/${message.typename === "a/kinesis" ? "io.statefun.sdk.egress.KinesisEgressRecord" : KAFKA}`);
  const name = message.typename === "a/kinesis" ? "egress.KinesisEgressRecord" : "egress.KafkaProducerRecord";
  return decode(name, message.typedValue.value);
}

test("records for Kafka and Kinesis are what protobuf reads", () => {
  const kafka = { typename: "a/kafka", topic: "out" };
  const base64 = (content) => Buffer.from(content).toString("base64");
  assert.deepEqual(record(kafkaEgressMessage({ ...kafka, key: "k", value: "é" })), { key: "k", value_bytes: base64("é"), topic: "out" });
  assert.deepEqual(record(kafkaEgressMessage({ ...kafka, value: Buffer.from([1, 2]) })), { value_bytes: base64([1, 2]), topic: "out" });
  assert.deepEqual(record(kafkaEgressMessage({ ...kafka, key: null, value: -2 })), { value_bytes: base64([255, 255, 255, 254]), topic: "out" });
  assert.deepEqual(record(kafkaEgressMessage({ ...kafka, value: "" })), { topic: "out" });
  assert.deepEqual(record(kinesisEgressMessage({ typename: "a/kinesis", stream: "s", partitionKey: "p", value: { a: 1 }, valueType: CART.type })), {
    partition_key: "p", value_bytes: base64('{"a":1}'), stream: "s",
  });
});

test("a record for Kafka takes headers, a timestamp and a partition", () => {
  const message = kafkaEgressMessage({
    typename: "a/kafka", topic: "out", value: "v", timestampMs: 1700000000000, partition: 0,
    headers: [["trace", "é"], ["none", null], ["trace", Buffer.from([1])], ["empty", ""]],
  });
  const extension = decode("statefun.extensions.KafkaProducerRecordExtension", message.typedValue.value);
  assert.deepEqual(extension.options, {
    headers: [
      { key: "trace", has_value: true, value: "w6k=" }, { key: "none" },
      { key: "trace", has_value: true, value: "AQ==" }, { key: "empty", has_value: true },
    ],
    timestamp_ms: "1700000000000",
    has_partition: true,
  });
  assert.deepEqual(record(message), { value_bytes: "dg==", topic: "out" });
  const mapped = kafkaEgressMessage({ typename: "a/kafka", topic: "out", value: "v", headers: { trace: "1" }, partition: 7 });
  assert.deepEqual(decode("statefun.extensions.KafkaProducerRecordExtension", mapped.typedValue.value).options, {
    headers: [{ key: "trace", has_value: true, value: "MQ==" }], has_partition: true, partition: 7,
  });
});

for (const [content, why] of [
  [{ value: "v" }, "the topic of a record for a/b is missing"],
  [{ topic: "t" }, "the value of a record for a/b is missing"],
  [{ topic: "t", value: 1.5 }, "the value of a record for a/b: without a valueType it must be a string, a Buffer or a whole number of 32 bits, not 1.5 (number)"],
  [{ topic: "t", value: 2 ** 31 }, "the value of a record for a/b: without a valueType it must be a string, a Buffer or a whole number of 32 bits, not 2147483648 (number)"],
  [{ topic: "t", value: "v", key: 5 }, "the key of a record for a/b must be a string, not 5 (number)"],
  [{ topic: "t", value: "v", partition: -1 }, "partition of a record for a/b must be a whole number from 0 to 2147483647, not -1 (number)"],
  [{ topic: "t", value: "v", timestampMs: 0 }, "timestampMs of a record for a/b must be a whole number from 1 to 9007199254740991, not 0 (number)"],
  [{ topic: "t", value: "v", headers: "x" }, "headers of a record for a/b must be an object or pairs of name and value, not 'x' (string)"],
  [{ topic: "t", value: "v", headers: { a: 1 } }, "header 'a' of a record for a/b must be a string, bytes or null, not 1 (number)"],
]) {
  test(`no record for Kafka is built: ${why}`, () => {
    assert.throws(() => kafkaEgressMessage({ typename: "a/b", ...content }), { name: "TypeError", message: why });
  });
}

test("a function sees where a Kafka record came from", async () => {
  const metadata = {
    topic: "orders", partition: 3, offset: "9007199254740993", timestamp_ms: 1700000000000,
    headers: [{ key: "a", has_value: true, value: Buffer.from("1") }, { key: "a", has_value: true, value: Buffer.from("2") }, { key: "b" }],
  };
  const extension = encode("statefun.extensions.InvocationExtension", { record: metadata });
  const invocation = Buffer.concat([encode("reqreply.ToFunction.Invocation", { argument: text("x") }), extension]);
  const target = encode("reqreply.Address", { namespace: "example", type: "user", id: "zoe" });
  const field = (number, content) => Buffer.concat([Buffer.from([(number << 3) | 2, content.length]), content]);
  const batch = Buffer.concat([field(1, target), field(3, invocation)]);
  const body = Buffer.concat([Buffer.from("a206", "hex"), Buffer.from([0x80 | (batch.length & 0x7f), batch.length >> 7]), batch]);
  let seen;
  const { statefun } = serving((context) => { seen = context.recordMetadata; });

  assert.equal((await statefun.respond(body)).status, 200);

  assert.deepEqual({ ...seen }, {
    topic: "orders", partition: 3, offset: 9007199254740993n, timestampMs: 1700000000000,
    headers: [["a", Buffer.from("1")], ["a", Buffer.from("2")], ["b", null]],
  });
  assert.deepEqual([seen.header("a"), seen.header("b"), seen.header("c")], [Buffer.from("2"), null, undefined]);
  await resultOf((context) => { assert.equal(context.recordMetadata, null); });
});

for (const [options, why] of [
  [{ fn() {} }, "the typename of a function must be of the form <namespace>/<name>, not undefined"],
  [{ typename: "greeter", fn() {} }, "the typename of a function must be of the form <namespace>/<name>, not 'greeter' (string)"],
  [{ typename: "a/b" }, "the function a/b needs a function fn, not undefined"],
  [{ typename: "a/b", fn() {}, specs: {} }, "the specs of a/b must be an array, not {}"],
  [{ typename: "a/b", fn() {}, specs: [SEEN, SEEN] }, "the function a/b has two states 'seen'"],
  [{ typename: "a/b", fn() {}, specs: [{ type: SEEN.type }] }, "the name of a state of a/b is missing"],
  [{ typename: "a/b", fn() {}, specs: [{ ...SEEN, name: "7up" }] }, "the state '7up' (string) of a/b must be named with letters, digits and _, the first no digit"],
  [{ typename: "a/b", fn() {}, specs: [{ ...SEEN, name: "__proto__" }] }, "the state '__proto__' (string) of a/b must be named with letters, digits and _, the first no digit"],
  [{ typename: "a/b", fn() {}, specs: [{ name: "seen" }] }, "the type of the state 'seen' of a/b must be one of StateFun's, like StateFun.intType(), not undefined"],
  [{ typename: "a/b", fn() {}, specs: [{ ...SEEN, expireAfterWrite: 0.5 }] }, "expireAfterWrite of the state 'seen' of a/b must be a whole number of milliseconds, not 0.5 (number)"],
  [{ typename: "a/b", fn() {}, specs: [{ ...SEEN, expireAfterCall: 1, expireAfterWrite: 1 }] }, "the state 'seen' of a/b can expire after a call or after a write, not both"],
]) {
  test(`no function is bound: ${why}`, () => {
    assert.throws(() => new StateFun().bind(options), { name: "TypeError", message: why });
  });
}

test("a function that is bound again replaces the one before", async () => {
  const { statefun } = serving(() => assert.fail("replaced"));
  statefun.bind({ typename: "example/user", fn: (context) => context.send(to("new")) });
  const answer = await statefun.respond(request());
  assert.deepEqual(result(answer.body).outgoing_messages[0].argument, text("new"));
});

test("options are checked", () => {
  assert.throws(() => new StateFun({ showStack: true }), {
    message: "StateFun has no option 'showStack' (string); it has log, showStacks, bundles, bundleConcurrency, maxRequestBytes",
  });
  assert.throws(() => new StateFun({ log: "file" }), { message: "the option log must be a function, not 'file' (string)" });
  assert.throws(() => new StateFun({ bundleConcurrency: 0 }), { message: "the option bundleConcurrency must be a whole number above 0, not 0 (number)" });
});

test("addresses", () => {
  assert.deepEqual({ ...Address.fromParts("a/b", "c", "d") }, { namespace: "a/b", name: "c", id: "d", typename: "a/b/c" });
  assert.deepEqual(Address.fromTypeNameId("a/b/c", "d"), Address.fromParts("a/b", "c", "d"));
  assert.equal(String(Address.fromParts("a", "b", "c")), "a/b/c");
});
