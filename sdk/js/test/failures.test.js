"use strict";
// A response for whatever becomes of a request: what the runtime's operator reads, and what is logged here.

const assert = require("node:assert/strict");
const { mock, test } = require("node:test");
const { StateFun } = require("statefun-sdk");
const { Failures } = require("../lib/failures.js");
const { request, serving } = require("./support/requests.js");

class NoCustomer extends TypeError {}
class Named extends Error {
  name = "com.example.Named";
}
class Silent extends Error {
  get message() {
    throw new Error("not even this");
  }
}

for (const [thrown, said] of [
  [new RangeError("no customer 7"), "RangeError: no customer 7"],
  [new NoCustomer("7"), "NoCustomer: 7"],
  [new Named("7"), "com.example.Named: 7"],
  [new Error(), "Error"],
  [new Silent(), "Error"],
  [new Error("é\ud800"), "Error: é\ufffd"],
  [new Error("x".repeat(5000)), `Error: ${"x".repeat(1000)}… (5000 characters)`],
  ["text", "Error: 'text' (string) was thrown, which is no Error"],
  [undefined, "Error: undefined was thrown, which is no Error"],
  [null, "Error: null was thrown, which is no Error"],
  [{ code: 7 }, "Error: { code: 7 } was thrown, which is no Error"],
]) {
  for (const [how, fn] of [["thrown", () => { throw thrown; }], ["rejected with", async () => { throw thrown; }]]) {
    test(`what was ${how} is answered: ${said.slice(0, 60)}`, async () => {
      const answer = await serving(fn).statefun.respond(request());
      assert.equal(answer.status, 500);
      assert.equal(answer.headers["Content-Type"], "text/plain; charset=utf-8");
      assert.equal(answer.body.toString(), said);
    });
  }
}

test("the stack is logged, and is no part of the reply unless it is asked for", async () => {
  const fn = function thrower() {
    throw new Error("boom", { cause: new Error("beneath") });
  };
  const plain = serving(fn);
  const shown = serving(fn, { showStacks: true });

  assert.equal((await plain.statefun.respond(request())).body.toString(), "Error: boom");
  assert.match((await shown.statefun.respond(request())).body.toString(), /^Error: boom\n +at thrower[^]*\nbecause of Error: beneath\n +at thrower/);
  assert.equal(plain.logged.length, 1);
  assert.equal(plain.logged[0][0], "statefun: a request failed: example/user/zoe: Error: boom");
  assert.match(plain.logged[0][1].stack, /thrower/);
});

test("each kind of failure is logged once a minute, however often the runtime tries", () => {
  const logged = [];
  let nowMs = 0;
  const failures = new Failures({ log: (text) => logged.push(text), showStacks: false, now: () => nowMs });
  const one = new Error("one");
  const other = new Error("other");
  failures.tell(one, null);
  failures.tell(one, null);
  failures.tell(other, "example/user/zoe");
  nowMs = 59_999;
  failures.tell(one, null);
  nowMs = 60_000;
  failures.tell(one, null);

  assert.deepEqual(logged, [
    "statefun: a request failed: Error: one",
    "statefun: a request failed: example/user/zoe: Error: other",
    "statefun: a request failed: Error: one (and 2 times more since it was said last)",
  ]);
});

test("kinds of failures are forgotten, the oldest first, when there are many", () => {
  const logged = [];
  const failures = new Failures({ log: (text) => logged.push(text), showStacks: false, now: () => 0 });
  const kinds = Array.from({ length: 101 }, (_, number) => Object.assign(new Error("x"), { stack: `Error: x\n    at place ${number}` }));
  kinds.forEach((error) => failures.tell(error, null));
  failures.tell(kinds[100], null);
  assert.equal(logged.length, 101);
  failures.tell(kinds[0], null);
  assert.equal(logged.length, 102);
});

test("by default failures are logged to the error console", async () => {
  const said = mock.method(console, "error", () => {});
  try {
    const statefun = new StateFun();
    statefun.bind({ typename: "example/user", fn: () => { throw new Error("boom"); } });
    await statefun.respond(request());
    await statefun.respond(request({ type: "nobody" }));
  } finally {
    said.mock.restore();
  }
  const [first, second] = said.mock.calls.map((call) => call.arguments);
  assert.equal(first[0], "statefun: a request failed: example/user/zoe: Error: boom");
  assert.ok(first[1] instanceof Error);
  assert.deepEqual(second, ["statefun: a request failed: RequestError: no function is bound for example/nobody/zoe; bound are example/user"]);
});

test("a type that is not bound is 404, and what is bound is said", async () => {
  const answer = await new StateFun({ log: () => {} }).respond(request());
  assert.equal(answer.status, 404);
  assert.equal(answer.body.toString(), "RequestError: no function is bound for example/user/zoe; bound are none");
});

test("a log that throws does not keep a reply back", async () => {
  const { statefun } = serving(() => { throw new Error("boom"); }, { log: () => { throw new Error("disk full"); } });
  const answer = await statefun.respond(request());
  assert.equal(answer.body.toString(), "Error: boom");
});

test("a body that is no bytes is refused", async () => {
  const answer = await serving(() => {}).statefun.respond("text");
  assert.equal(answer.status, 400);
  assert.equal(answer.body.toString(), "RequestError: the body of a request must be a Buffer or Uint8Array, not 'text' (string)");
});
