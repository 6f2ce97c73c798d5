"use strict";
// Every feature of the protocol behind one function: the argument is a list of commands. It asks for the same as the
// program that the golden cases were recorded with, on the stock SDK.
// usage: kitchen.js PORT
const http = require("node:http");
const {
  StateFun,
  egressMessageBuilder,
  kafkaEgressMessage,
  kinesisEgressMessage,
  messageBuilder,
} = require("statefun-sdk");

const JSON_TYPE = StateFun.jsonType("conf.types/json");
const TARGET = { typename: "conf.other/fn", id: "t-1" };
const KAFKA = { typename: "conf.io/kafka", topic: "out" };

const PRIMITIVES = [
  [true, StateFun.booleanType()],
  [false, StateFun.booleanType()],
  [-1, StateFun.intType()],
  [0, StateFun.intType()],
  [1.5, StateFun.floatType()],
  ["", StateFun.stringType()],
  ["\u00e9\u4e2d", StateFun.stringType()],
  [{ k: [1, 2] }, JSON_TYPE],
];

const COMMANDS = {
  send: (context) => context.send(messageBuilder({ ...TARGET, value: "hi" })),
  self: (context) => context.send(to(context.self, "noop")),
  reply: (context) => context.send(to(context.caller, "re")),
  prims(context) {
    for (const [value, valueType] of PRIMITIVES) {
      context.send(messageBuilder({ ...TARGET, value, valueType }));
    }
  },
  delay: (context) => context.sendAfter(1500, messageBuilder({ ...TARGET, value: "later" })),
  delay0: (context) => context.sendAfter(0, messageBuilder({ ...TARGET, value: "now" })),
  delaytok: (context) => context.sendAfter(3600000, messageBuilder({ ...TARGET, value: "later" }), "tok-1"),
  cancel: (context) => context.cancelDelayedMessage("tok-1"),
  kafka: (context) => context.send(kafkaEgressMessage({ ...KAFKA, key: "k", value: "v" })),
  kafkanokey: (context) => context.send(kafkaEgressMessage({ ...KAFKA, value: "v" })),
  kafkaint: (context) => context.send(kafkaEgressMessage({ ...KAFKA, key: "k", value: 1337 })),
  kafkajson: (context) => context.send(kafkaEgressMessage({ ...KAFKA, key: "k", value: { x: 1 }, valueType: JSON_TYPE })),
  kinesis: (context) =>
    context.send(
      kinesisEgressMessage({ typename: "conf.io/kinesis", stream: "s", partitionKey: "p", hashKey: "h", value: "v" }),
    ),
  egress: (context) =>
    context.send(egressMessageBuilder({ typename: "conf.io/generic", value: { x: 1 }, valueType: JSON_TYPE })),
  seta(context) {
    context.storage.a = context.storage.a + 1;
  },
  setb(context) {
    context.storage.b = !context.storage.b;
  },
  setc(context) {
    context.storage.c = "see";
  },
  setd(context) {
    context.storage.d = { x: 1 };
  },
  dela(context) {
    context.storage.a = null;
  },
  delc(context) {
    context.storage.c = null;
  },
  boom() {
    throw new Error("boom");
  },
};

function to(address, value) {
  return messageBuilder({ typename: address.typename, id: address.id, value });
}

const statefun = new StateFun();
statefun.bind({
  typename: "conf/kitchen",
  specs: [
    { name: "a", type: StateFun.intType() },
    { name: "b", type: StateFun.booleanType(), expireAfterWrite: 86400000 },
    { name: "c", type: StateFun.stringType(), expireAfterCall: 300000 },
    { name: "d", type: JSON_TYPE },
  ],
  async fn(context, message) {
    for (const command of message.asString().split(",")) {
      COMMANDS[command]?.(context);
    }
  },
});

module.exports = { statefun };
if (require.main === module) {
  http.createServer(statefun.handler()).listen(Number(process.argv[2]), "127.0.0.1");
}
