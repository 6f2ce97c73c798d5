"use strict";
// The same functions behind Node's http, Express, Fastify and AWS Lambda.

const assert = require("node:assert/strict");
const http = require("node:http");
const net = require("node:net");
const { once } = require("node:events");
const { after, test } = require("node:test");
const express = require("express");
const fastify = require("fastify");
const { StateFun } = require("statefun-sdk");
const { BUNDLE, bundle, outcomes, request, result, serving, text } = require("./support/requests.js");

const OCTETS = "application/octet-stream";
const LARGE = 3 * 1024 * 1024;
const SPECS = [{ name: "length", type: StateFun.intType() }];
const STATE = { length: null };

function measure(context, message) {
  if (message.asString() === "boom") {
    throw new Error("boom");
  }
  context.storage.length = message.asString().length;
  return message.asString() === "slow" ? new Promise((resolve) => { setTimeout(resolve, 20); }) : undefined;
}

const { statefun } = serving(measure, { specs: SPECS });
const closing = [];
after(() => Promise.all(closing.map((close) => close())));

async function serve(listener) {
  const server = http.createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(() => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }));
  return `http://127.0.0.1:${server.address().port}/statefun`;
}

async function onExpress(...before) {
  const app = express();
  before.forEach((one) => app.use(one));
  app.post("/statefun", statefun.handler());
  return serve(app);
}

async function onFastify() {
  const server = fastify();
  server.register(statefun.fastify());
  server.post("/other", (body) => body.body);
  const url = await server.listen({ port: 0, host: "127.0.0.1" });
  closing.push(() => server.close());
  return `${url}/statefun`;
}

async function post(url, body, headers = { "content-type": OCTETS, "statefun-bundle": "1" }) {
  const answer = await fetch(url, { method: "POST", body, headers });
  return { status: answer.status, headers: answer.headers, body: Buffer.from(await answer.arrayBuffer()) };
}

const lengthOf = (reply) => result(reply).state_mutations[0].state_value.value.readInt32LE(1);

for (const [name, start] of [
  ["http", () => serve(statefun.handler())],
  ["Express", () => onExpress()],
  ["Express behind a JSON parser", () => onExpress(express.json())],
  ["Express behind a parser of bytes", () => onExpress(express.raw({ type: () => true, limit: "10mb" }))],
  ["Fastify", onFastify],
]) {
  test(`${name}: replies, failures, large requests and bundles`, async () => {
    const url = await start();

    const good = await post(url, request({ state: STATE }));
    assert.equal(good.status, 200);
    assert.equal(good.headers.get("content-type"), OCTETS);
    assert.equal(good.headers.get("content-length"), String(good.body.length));
    assert.equal(good.headers.get("statefun-bundle"), "1");
    assert.equal(lengthOf(good.body), 5);

    const large = await post(url, request({ state: STATE, messages: [text("x".repeat(LARGE))] }));
    assert.equal(lengthOf(large.body), LARGE);

    const bad = await post(url, request({ state: STATE, messages: [text("boom")] }));
    assert.deepEqual([bad.status, bad.headers.get("content-type"), bad.body.toString()], [500, "text/plain; charset=utf-8", "Error: boom"]);
    assert.equal(bad.headers.get("statefun-bundle"), null);

    const words = ["slow", "boom", "quick"];
    const many = await post(url, bundle(...words.map((one) => request({ state: STATE, messages: [text(one)] }))), { "content-type": BUNDLE });
    assert.deepEqual([many.status, many.headers.get("content-type")], [200, BUNDLE]);
    const found = outcomes(many.body);
    assert.deepEqual(found.map((one) => one.index), [2, 1, 0]);
    assert.equal(lengthOf(found[0].reply), 5);
    assert.equal(found[1].failure.text, "Error: boom");
    assert.equal(lengthOf(found[2].reply), 4);
  });
}

test("Fastify: parsers of the server around do not read requests to functions", async () => {
  const server = fastify();
  server.addContentTypeParser(OCTETS, { parseAs: "buffer" }, (_request, _body, done) => done(null, "parsed"));
  server.register(statefun.fastify(), { path: "/functions" });
  const url = await server.listen({ port: 0, host: "127.0.0.1" });
  closing.push(() => server.close());
  assert.equal((await post(`${url}/functions`, request({ state: STATE }))).status, 200);
});

test("http: somebody else may have answered before a function did", async () => {
  for (const [body, type] of [[request({ state: STATE, messages: [text("slow")] }), OCTETS], [bundle(request({ state: STATE, messages: [text("slow")] })), BUNDLE]]) {
    const url = await serve((incoming, response) => {
      setTimeout(() => response.writeHead(503).end("too slow"), 5);
      void statefun.handle(incoming, response);
    });
    const answer = await post(url, body, { "content-type": type });
    assert.deepEqual([answer.status, answer.body.toString()], [503, "too slow"]);
    await new Promise((resolve) => { setTimeout(resolve, 40); });
  }
});

test("Fastify: other routes keep their parsers", async () => {
  const url = (await onFastify()).replace("/statefun", "/other");
  const answer = await post(url, '{"a":1}', { "content-type": "application/json" });
  assert.equal(answer.body.toString(), '{"a":1}');
});

test("a body that another parser has read is a failure that says what to do", async () => {
  const url = await onExpress(express.json({ type: () => true, strict: false }));
  const answer = await post(url, "{}");
  assert.equal(answer.status, 500);
  assert.equal(
    answer.body.toString(),
    "RequestError: the body of the request was read before: serve the functions before body parsers, or parse it with express.raw({ type: () => true })",
  );
});

test("http: PUT serves as POST does, and other methods are refused", async () => {
  const url = await serve(statefun.handler());
  assert.equal((await fetch(url, { method: "PUT", body: request({ state: STATE }) })).status, 200);
  const answer = await fetch(url);
  assert.deepEqual([answer.status, answer.headers.get("allow")], [405, "POST"]);
  assert.equal(await answer.text(), "RequestError: a runtime calls with POST, not with GET");
});

test("http: many requests on one connection", async () => {
  const url = new URL(await serve(statefun.handler()));
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const ports = new Set();
  for (let i = 0; i < 20; i++) {
    const sent = http.request(url, { method: "POST", agent });
    sent.end(request({ state: STATE, messages: [text(["x", "slow", "boom"][i % 3])] }));
    const [answer] = await once(sent, "response");
    ports.add(sent.socket.localPort);
    await answer.resume().toArray();
    assert.equal(answer.statusCode, i % 3 === 2 ? 500 : 200);
  }
  agent.destroy();
  assert.equal(ports.size, 1);
});

test("http: a request above maxRequestBytes is refused with 413, and its rest is not read", async () => {
  const small = serving(measure, { specs: SPECS, maxRequestBytes: 1000 }).statefun;
  const url = new URL(await serve(small.handler()));
  assert.equal((await post(String(url), request({ state: STATE, messages: [text("x".repeat(800))] }))).status, 200);

  const socket = net.connect(Number(url.port), url.hostname);
  socket.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n${"x".repeat(2000)}`);
  const chunks = await socket.toArray();
  const answer = Buffer.concat(chunks).toString();
  assert.match(answer, /^HTTP\/1.1 413 /);
  assert.match(answer, /\r\nConnection: close\r\n/i);
  assert.match(answer, /RequestError: the request is larger than maxRequestBytes of StateFun, 1000 bytes$/);
});

test("http: a connection that breaks during the request, or during the function, is no failure of anybody", async () => {
  let begun;
  const wait = new Promise((resolve) => { begun = resolve; });
  let end;
  const { statefun: waiting, logged } = serving(() => { begun(); return new Promise((resolve) => { end = resolve; }); });
  const url = new URL(await serve(waiting.handler()));
  const whole = request();
  const head = `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${whole.length}\r\n\r\n`;
  const cut = net.connect(Number(url.port), url.hostname);
  await once(cut, "connect");
  cut.end(Buffer.concat([Buffer.from(head), whole.subarray(0, 10)]));
  await once(cut.resume(), "close");

  const left = net.connect(Number(url.port), url.hostname);
  left.write(Buffer.concat([Buffer.from(head), whole]));
  await wait;
  left.destroy();
  await once(left, "close");
  end();
  await new Promise((resolve) => { setTimeout(resolve, 20); });
  assert.deepEqual(logged, []);
});

test("http: the outcomes of a bundle leave when they are there", async () => {
  const ends = [];
  const { statefun: waiting } = serving((context) => (context.self.id === "slow" ? new Promise((resolve) => { ends.push(resolve); }) : undefined));
  const url = await serve(waiting.handler());

  const answer = await fetch(url, { method: "POST", body: bundle(request({ id: "slow" }), request({ id: "quick" })), headers: { "content-type": BUNDLE } });
  const reader = answer.body.getReader();
  const first = await reader.read();

  assert.deepEqual(outcomes(Buffer.from(first.value)).map((one) => one.index), [1]);
  ends[0]();
  const second = await reader.read();
  assert.deepEqual(outcomes(Buffer.from(second.value)).map((one) => one.index), [0]);
  assert.equal((await reader.read()).done, true);
});

test("http: a bundle whose reader has gone is left", async () => {
  let count = 0;
  const { statefun: waiting, logged } = serving(async () => { count += 1; await new Promise((resolve) => { setTimeout(resolve, 5); }); }, { bundleConcurrency: 1 });
  const url = await serve(waiting.handler());
  const aborted = new AbortController();
  const answer = await fetch(url, {
    method: "POST", signal: aborted.signal, headers: { "content-type": BUNDLE },
    body: bundle(...Array.from({ length: 200 }, () => request())),
  });
  await answer.body.getReader().read();
  aborted.abort();
  let before;
  do {
    before = count;
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  } while (count > before);
  assert.ok(count < 200, `${count} of 200 were begun`);
  assert.deepEqual(logged, []);
});

const handler = statefun.lambda();
const event = (body, headers) => ({ body: body.toString("base64"), isBase64Encoded: true, ...headers });

for (const [name, headers] of [
  ["a function URL or an HTTP API", { headers: { "content-type": OCTETS, "statefun-bundle": "1" } }],
  ["a REST API", { headers: { "Content-Type": OCTETS, "StateFun-Bundle": "1" } }],
  ["a load balancer with many values", { multiValueHeaders: { "content-type": [OCTETS], "statefun-bundle": ["1"] } }],
]) {
  test(`Lambda behind ${name}`, async () => {
    const answer = await handler(event(request({ state: STATE }), headers));
    assert.deepEqual([answer.statusCode, answer.isBase64Encoded], [200, true]);
    assert.deepEqual(answer.headers, { "Content-Type": OCTETS, "StateFun-Bundle": "1" });
    assert.equal(lengthOf(Buffer.from(answer.body, "base64")), 5);
  });
}

test("Lambda: bundles and failures", async () => {
  const words = ["slow", "boom"].map((one) => request({ state: STATE, messages: [text(one)] }));
  const many = await handler(event(bundle(...words), { headers: { "content-type": BUNDLE } }));
  assert.deepEqual(outcomes(Buffer.from(many.body, "base64")).map((one) => one.index), [1, 0]);

  const bad = await handler(event(words[1], { headers: {} }));
  assert.deepEqual([bad.statusCode, Buffer.from(bad.body, "base64").toString()], [500, "Error: boom"]);
});

test("Lambda: an event that brings no bytes is refused with what to do", async () => {
  const told = async (one) => { const answer = await handler(one); return [answer.statusCode, Buffer.from(answer.body, "base64").toString()]; };
  assert.deepEqual(await told({ requestContext: {} }), [400, "RequestError: the event has no body: is it one of a function URL, an API gateway or a load balancer?"]);
  assert.deepEqual(await told({ body: "text", isBase64Encoded: false }), [
    415,
    "RequestError: the body of the event is text, not base64: tell the gateway that application/octet-stream and application/vnd.statefun.bundle are binary",
  ]);
});
