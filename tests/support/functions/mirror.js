"use strict";
// mirror.py on the JavaScript SDK.
// usage: mirror.js PORT
const http = require("node:http");
const { StateFun, kafkaEgressMessage } = require("statefun-sdk");

const statefun = new StateFun();

statefun.bind({
  typename: "t/mirror",
  fn(context, message) {
    const record = context.recordMetadata;
    const to = { typename: "t/records", topic: message.rawValueBytes.toString(), key: "k" };
    if (record === null) {
      context.send(kafkaEgressMessage({ ...to, value: "no metadata" }));
      return;
    }
    const { topic, partition, offset, timestampMs, headers } = record;
    context.send(
      kafkaEgressMessage({
        ...to,
        value: `${topic}/${partition}/${offset}`,
        headers: [...headers, ["mirrored", "yes"]],
        timestampMs,
        partition: 2,
      }),
    );
  },
});

http.createServer(statefun.handler()).listen(Number(process.argv[2]), "127.0.0.1");
