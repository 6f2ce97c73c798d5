"use strict";
// Functions on the JavaScript SDK that ask for everything it has.
// usage: functions.js PORT
const http = require("node:http");
const { StateFun, egressMessageBuilder, messageBuilder } = require("statefun-sdk");

const RECORD = StateFun.jsonType("io.statefun.playground/EgressRecord");
const COMMAND = StateFun.jsonType("js/command");
const DATE = StateFun.customType(
  "js/date",
  (date) => Buffer.from(date.toISOString()),
  (bytes) => new Date(bytes.toString()),
);

function tell(context, payload) {
  const value = { topic: "out", payload };
  context.send(egressMessageBuilder({ typename: "io.statefun.playground/egress", value, valueType: RECORD }));
}

const statefun = new StateFun();

statefun.bind({
  typename: "js/types",
  specs: [
    { name: "bool", type: StateFun.booleanType() },
    { name: "int", type: StateFun.intType() },
    { name: "long", type: StateFun.longType() },
    { name: "float", type: StateFun.floatType() },
    { name: "double", type: StateFun.doubleType() },
    { name: "text", type: StateFun.stringType(), expireAfterWrite: 3_600_000 },
    { name: "json", type: StateFun.jsonType("js/json"), expireAfterCall: 3_600_000 },
    { name: "date", type: DATE },
  ],
  async fn(context, message) {
    const { storage } = context;
    if (message.as(COMMAND).do === "NaN") {
      storage.int = NaN;
    }
    const { bool, int, long, float, double, text, json, date } = storage;
    tell(context, bool === null ? "nothing" : [bool, int, long, float, double, text, JSON.stringify(json), date.toISOString()].join(" "));
    Object.assign(storage, { bool: true, int: -5, long: 2n ** 53n + 1n, float: 0.5, double: 0.1, text: "é", json: { a: [1] }, date: new Date(0) });
  },
});

statefun.bind({
  typename: "js/timer",
  fn(context, message) {
    const { typename, id } = context.self;
    if (message.isString()) {
      tell(context, `${id} rang`);
    } else if (message.as(COMMAND).do === "cancel") {
      context.cancelDelayedMessage(id);
    } else {
      context.sendAfter(message.as(COMMAND).ms, messageBuilder({ typename, id, value: "ring" }), id);
    }
  },
});

/** Sends to as many addresses at once as it is told to. */
statefun.bind({
  typename: "js/fan",
  fn(context, message) {
    for (let id = 0; id < message.as(COMMAND).count; id++) {
      context.send(messageBuilder({ typename: "js/one", id: String(id), value: id }));
    }
  },
});

const failed = new Set();

/** Counts; each tenth waits, each eleventh fails the first time. */
statefun.bind({
  typename: "js/one",
  specs: [{ name: "seen", type: StateFun.intType() }],
  fn(context, message) {
    const number = message.asInt();
    context.storage.seen = (context.storage.seen ?? 0) + 1;
    tell(context, `${number} ${context.storage.seen}`);
    if (number % 11 === 0 && !failed.has(number)) {
      failed.add(number);
      throw new Error(`${number} fails once`);
    }
    return number % 10 === 0 ? new Promise((resolve) => { setTimeout(resolve, 50); }) : undefined;
  },
});

http.createServer(statefun.handler()).listen(Number(process.argv[2]), "127.0.0.1");
