"use strict";
// What each SDK does: a message says what to try. Runs on the stock JavaScript SDK and on ours.
// usage: matrix.js PORT PACKAGE
const http = require("node:http");
const { StateFun, egressMessageBuilder, kafkaEgressMessage, messageBuilder } = require(process.argv[3]);

const JSON_TYPE = StateFun.jsonType("matrix/json");
const HOUR = 3_600_000;
const TO = { typename: "matrix/plain", id: "other" };
const statefun = new StateFun();
let late;

function tell(context, value) {
  const isPlain = ["string", "bigint", "undefined"].includes(typeof value);
  const text = isPlain ? String(value) : JSON.stringify(value);
  context.send(egressMessageBuilder({ typename: "matrix/out", value: text, valueType: StateFun.stringType() }));
}

function command(message) {
  const text = message.asString();
  const blank = text.indexOf(" ");
  return blank < 0 ? [text] : [text.slice(0, blank), text.slice(blank + 1)];
}

const STATES = {
  read: (context, name) => tell(context, context.storage[name]),
  n: ({ storage }, value) => { storage.n = Number(value); },
  "n-text": ({ storage }) => { storage.n = "many"; },
  t: ({ storage }, value) => { storage.t = value; },
  "t-empty": ({ storage }) => { storage.t = ""; },
  "t-number": ({ storage }) => { storage.t = 5; },
  "t-half": ({ storage }) => { storage.t = "a\ud800"; },
  "j-nan": ({ storage }) => { storage.j = { total: NaN }; },
  "j-within": ({ storage }) => { storage.j.items.push("pear"); },
  "b-number": ({ storage }) => { storage.b = 2; },
  delete: ({ storage }, name) => { storage[name] = null; },
  none: ({ storage }, name) => { storage[name] = null; },
  undeclared: ({ storage }) => { storage.undeclared = 1; },
};

statefun.bind({
  typename: "matrix/states",
  specs: [
    { name: "n", type: StateFun.intType() },
    { name: "t", type: StateFun.stringType(), expireAfterWrite: HOUR },
    { name: "j", type: JSON_TYPE, expireAfterCall: HOUR },
    { name: "b", type: StateFun.booleanType() },
  ],
  fn(context, message) {
    const [name, value] = command(message);
    STATES[name](context, value);
  },
});

if (StateFun.longType !== undefined) {
  statefun.bind({
    typename: "matrix/wide",
    specs: [{ name: "l", type: StateFun.longType() }, { name: "d", type: StateFun.doubleType() }],
    fn(context, message) {
      const [name, value] = command(message);
      if (name === "read") {
        tell(context, context.storage[value]);
      } else {
        context.storage[name] = name === "l" ? BigInt(value) : Number(value);
      }
    },
  });
}

statefun.bind({ typename: "matrix/argument", fn: (context, message) => tell(context, message.asString()) });

const to = (content) => messageBuilder({ ...TO, value: "x", ...content });

const PLAIN = {
  caller: (context) => tell(context, context.caller === null ? null : `${context.caller.typename}/${context.caller.id}`),
  reply: (context) => context.send(messageBuilder({ typename: context.caller.typename, id: context.caller.id, value: "x" })),
  send: (context) => context.send(to()),
  "send-nothing": (context) => context.send(to({ value: null })),
  "send-empty-id": (context) => context.send(to({ id: "" })),
  "send-number-id": (context) => context.send(to({ id: 7 })),
  "send-large": (context) => context.send(to({ value: 2 ** 31 })),
  after: (context, ms) => context.sendAfter(Number(ms), to()),
  token: (context, token) => context.sendAfter(1000, to(), token),
  "token-empty": (context) => context.sendAfter(1000, to(), ""),
  cancel: (context, token) => context.cancelDelayedMessage(token),
  "cancel-empty": (context) => context.cancelDelayedMessage(""),
  kafka: (context) => context.send(kafkaEgressMessage({ typename: "matrix/kafka", topic: "t", value: "v" })),
  "kafka-int": (context) => context.send(kafkaEgressMessage({ typename: "matrix/kafka", topic: "t", key: "k", value: 1 })),
  boom() {
    throw new Error("boom");
  },
  async "boom-later"() {
    await new Promise((resolve) => { setTimeout(resolve, 1); });
    throw new Error("boom");
  },
  late(context) {
    late = new Promise((resolve) => {
      setTimeout(() => {
        try {
          context.send(to());
          resolve("lost without a word");
        } catch {
          resolve("refused");
        }
      }, 50);
    });
  },
  async "late?"(context) {
    tell(context, await late);
  },
};

statefun.bind({
  typename: "matrix/plain",
  fn(context, message) {
    const [name, value] = command(message);
    return PLAIN[name](context, value);
  },
});

http.createServer(statefun.handler()).listen(Number(process.argv[2]), "127.0.0.1");
