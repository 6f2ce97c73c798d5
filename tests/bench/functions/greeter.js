"use strict";
// What fnserver.c does, written with our JavaScript SDK; the topic comes from the environment.
// usage: greeter.js PORT
const http = require("node:http");
const { StateFun, kafkaEgressMessage } = require("../../../sdk/js");

const SEMICOLON = Buffer.from(";");
const topic = process.env.BENCH_TOPIC ?? "";
const statefun = new StateFun();

statefun.bind({
  typename: "demo/greeter",
  specs: [{ name: "seen", type: StateFun.intType() }],
  fn(context, message) {
    const seen = (context.storage.seen ?? 0) + 1;
    context.storage.seen = seen;
    const value = Buffer.concat([Buffer.from(String(seen)), SEMICOLON, message.rawValueBytes]);
    context.send(kafkaEgressMessage({ typename: "demo.io/out", topic, key: context.self.id, value }));
  },
});

http.createServer(statefun.handler()).listen(Number(process.argv[2]), "127.0.0.1");
