"use strict";
// The greeter of the examples.
// usage: greeter.js PORT
const http = require("node:http");
const { StateFun, egressMessageBuilder, messageBuilder } = require("statefun-sdk");

const GREET_REQUEST = StateFun.jsonType("example/GreetRequest");
const EGRESS_RECORD = StateFun.jsonType("io.statefun.playground/EgressRecord");
const TOPIC = "greetings";

function greeting(name, visits) {
  switch (visits) {
    case 1:
      return `Welcome ${name}`;
    case 2:
      return `Nice to see you again ${name}`;
    case 3:
      return `Third time is a charm ${name}`;
    default:
      return `Nice to see you at the ${visits}-nth time ${name}!`;
  }
}

const statefun = new StateFun();

statefun.bind({
  typename: "example/person",
  specs: [{ name: "visits", type: StateFun.intType() }],
  fn(context, message) {
    const visits = (context.storage.visits ?? 0) + 1;
    context.storage.visits = visits;
    const request = { ...message.as(GREET_REQUEST), visits };
    context.send(
      messageBuilder({ typename: "example/greeter", id: request.name, value: request, valueType: GREET_REQUEST }),
    );
  },
});

statefun.bind({
  typename: "example/greeter",
  fn(context, message) {
    const { name, visits } = message.as(GREET_REQUEST);
    const value = { topic: TOPIC, payload: greeting(name, visits) };
    context.send(egressMessageBuilder({ typename: "io.statefun.playground/egress", value, valueType: EGRESS_RECORD }));
  },
});

module.exports = { statefun };
if (require.main === module) {
  http.createServer(statefun.handler()).listen(Number(process.argv[2]), "127.0.0.1");
}
