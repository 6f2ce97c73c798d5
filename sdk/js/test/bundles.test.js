"use strict";
// Many addresses in one request: docs/reference/protocol.md.

const assert = require("node:assert/strict");
const { test } = require("node:test");
const vm = require("node:vm");
const { StateFun, egressMessageBuilder } = require("statefun-sdk");
const { readGolden } = require("./support/golden.js");
const { BUNDLE, bundle, decode, int, outcomes, request, result, serving, text } = require("./support/requests.js");

const OF_BUNDLES = { "content-type": BUNDLE };
const SEEN = { name: "seen", type: StateFun.intType() };

function golden() {
  const statefun = new StateFun({ log: () => {} });
  statefun.bind({ typename: "golden/count", specs: [SEEN], fn(context) { context.storage.seen = (context.storage.seen ?? 0) + 1; } });
  statefun.bind({ typename: "golden/fail", fn() { throw new Error("no such item"); } });
  return statefun;
}

/** Outcomes as `bundles.tsv` has them, in order of index. A failure's status 0 is 500. */
function told(found) {
  return found
    .sort((one, other) => one.index - other.index)
    .map(({ index, reply, failure }) =>
      failure === undefined ? `${index}:reply:${(reply ?? Buffer.alloc(0)).toString("hex")}` : `${index}:failure:${failure.status || 500}:${failure.text ?? ""}`,
    );
}

/** What a reply says; a state that never expires may say so, or say nothing of it. */
function meaning(hex) {
  const reply = decode("reqreply.FromFunction", Buffer.from(hex, "hex"));
  for (const spec of reply.incomplete_invocation_context?.missing_values ?? []) {
    delete spec.expiration_spec;
  }
  return Object.keys(reply).length === 0 ? { invocation_result: {} } : reply;
}

/** What the notes of `bundles.tsv` leave to an SDK. */
const LEFT_TO_US = { "0:failure:500:": "0:failure:400:" };

for (const row of readGolden("bundles.tsv").filter((one) => one.part === "server")) {
  test(`golden: ${row.case}`, async () => {
    const answer = await golden().respond(Buffer.from(row.request_hex, "hex"), OF_BUNDLES);

    assert.equal(answer.status, Number(row.status));
    if (answer.status !== 200) {
      return;
    }
    assert.equal(answer.headers["Content-Type"], BUNDLE);
    const found = told(outcomes(answer.body));
    const expected = row.outcomes.split(" ");
    assert.equal(found.length, expected.length);
    expected.forEach((one, index) => {
      const [, kind, status, hex] = one.split(":");
      if (kind === "reply") {
        assert.ok(found[index].startsWith(`${index}:reply:`), found[index]);
        assert.deepEqual(meaning(found[index].split(":")[2]), meaning(status));
        return;
      }
      const prefix = `${index}:failure:${status}:`;
      const wanted = hex === "" ? (LEFT_TO_US[prefix] ?? prefix) : prefix;
      assert.ok(found[index].startsWith(wanted), `${found[index]} does not begin with ${wanted}`);
      assert.ok(found[index].includes(Buffer.from(hex, "hex").toString()));
    });
  });
}

test("a runtime that offers bundles is asked for them, by every answer 200", async () => {
  const { statefun } = serving((_context, message) => { if (message.asString() === "boom") { throw new Error("boom"); } });
  const asked = async (headers, messages) => (await statefun.respond(request({ messages }), headers)).headers["StateFun-Bundle"];

  assert.equal(await asked({ "statefun-bundle": "1" }), "1");
  assert.equal(await asked({ "StateFun-Bundle": "2, 1" }), "1");
  assert.equal(await asked({ "StateFun-Bundle": "2" }), undefined);
  assert.equal(await asked({}), undefined);
  assert.equal(await asked({ "statefun-bundle": "1" }, [text("boom")]), undefined);
});

test("an application that wants no bundles asks for none", async () => {
  const { statefun } = serving(() => {}, { bundles: false });
  assert.equal((await statefun.respond(request(), { "statefun-bundle": "1" })).headers["StateFun-Bundle"], undefined);
  assert.equal((await statefun.respond(bundle(request()), OF_BUNDLES)).status, 400);
});

test("a bundle of nothing has no outcomes", async () => {
  const answer = await serving(() => {}).statefun.respond(bundle(), OF_BUNDLES);
  assert.deepEqual([answer.status, answer.body.length], [200, 0]);
});

test("a failure of one address is nobody else's, and its state is as it was", async () => {
  const { statefun, logged } = serving((context) => {
    context.storage.seen += 1;
    if (context.self.id === "bad") {
      throw new Error(`no ${"é".repeat(900)}`);
    }
  }, { specs: [SEEN] });
  const body = bundle(...["one", "bad", "two"].map((id) => request({ id, state: { seen: int(1) } })));

  const found = outcomes((await statefun.respond(body, OF_BUNDLES)).body);

  assert.deepEqual(found.map((one) => one.index).sort(), [0, 1, 2]);
  const [one, bad, two] = found.sort((a, b) => a.index - b.index);
  assert.equal(bad.reply, undefined);
  assert.ok(bad.failure.text.startsWith("Error: no ééé"));
  assert.deepEqual(result(one.reply).state_mutations[0].state_value, int(2));
  assert.deepEqual(result(two.reply).state_mutations[0].state_value, int(2));
  assert.match(logged[0][0], /^statefun: a request failed: example\/user\/bad: Error: no ééé/);
});

test("a reply that cannot be written is a failure of its address, and nothing of it is in other replies", async () => {
  const { statefun } = serving((context) => {
    const record = egressMessageBuilder({ typename: "a/b", value: "x".repeat(context.self.id.length), valueType: StateFun.stringType() });
    context.send(record);
    context.send(egressMessageBuilder({ typename: "a/b", value: "written first, and taken back", valueType: StateFun.stringType() }));
    record.typename = context.self.id === "bad" ? "nothing" : "a/b";
  });
  const good = (await statefun.respond(request())).body;

  const found = outcomes((await statefun.respond(bundle(request(), request({ id: "bad" }), request()), OF_BUNDLES)).body);
  const bad = await statefun.respond(request({ id: "bad" }));
  const after = await statefun.respond(request());

  assert.deepEqual(found.filter((one) => one.reply).map((one) => one.reply), [good, good]);
  assert.match(found.find((one) => one.failure).failure.text, /^TypeError: the typename of an egress message must be/);
  assert.equal(bad.status, 500);
  assert.deepEqual(after.body, good);
});

test("a text of a failure is cut at 4,096 bytes, not within a character", async () => {
  const { statefun } = serving(() => { throw new Error("boom", { cause: new Error("é".repeat(5000)) }); }, { showStacks: true });
  for (const lead of ["", "x"]) {
    const error = new Error(lead);
    error.stack = lead + "é".repeat(5000);
    statefun.bind({ typename: "example/user", fn() { throw error; } });
    const [{ failure }] = outcomes((await statefun.respond(bundle(request()), OF_BUNDLES)).body);
    assert.equal(failure.text, lead + "é".repeat(lead === "" ? 2048 : 2047));
  }
});

/** An output of a bundle that notes what came, in which turn of the event loop. */
function listen() {
  const heard = { chunks: [], indexes: [], isFull: false, isGone: false };
  heard.write = (chunk) => { heard.chunks.push(chunk); heard.indexes.push(outcomes(chunk).map((one) => one.index)); heard.came?.(); };
  heard.next = () => new Promise((resolve) => { heard.came = resolve; });
  heard.done = new Promise((resolve) => { heard.end = (chunk) => { heard.write(chunk); resolve(); }; });
  heard.drained = () => new Promise((resolve) => { heard.drain = resolve; });
  return heard;
}

const { Application } = require("../lib/application.js");

function application(fn, options) {
  const app = new Application({ log: () => {}, showStacks: false, bundles: true, bundleConcurrency: 256, maxRequestBytes: 1e9, ...options });
  app.bind({ typename: "example/user", fn });
  return app;
}

const ids = (count) => bundle(...Array.from({ length: count }, (_, id) => request({ id: `${id}` })));

test("functions that return nothing to wait for are answered at once, as a whole", async () => {
  const heard = listen();
  application(() => {}).startBundle(ids(10), heard);
  assert.equal(heard.chunks.length, 1);
  assert.equal(outcomes(heard.chunks[0]).length, 10);
});

test("a slow address holds up nobody: outcomes leave in the order in which they end", async () => {
  const heard = listen();
  const end = {};
  application(({ self }) => (self.id === "3" ? undefined : new Promise((resolve) => { end[self.id] = resolve; }))).startBundle(ids(4), heard);

  for (const id of ["2", "1", "0"]) {
    await heard.next();
    end[id]();
  }
  await heard.done;

  assert.deepEqual(heard.indexes, [[3], [2], [1], [0]]);
});

test("as many functions as are allowed are waited for side by side, and no more", async () => {
  let running = 0;
  let most = 0;
  const heard = listen();
  application(async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => { setTimeout(resolve, 1); });
    running -= 1;
  }, { bundleConcurrency: 7 }).startBundle(ids(50), heard);

  await heard.done;

  assert.equal(most, 7);
  assert.deepEqual(heard.indexes.flat().sort((a, b) => a - b), Array.from({ length: 50 }, (_, index) => index));
});

test("a bundle of busy functions lets others have the event loop, and sends what it has", async () => {
  const heard = listen();
  let turns = 0;
  const timer = setInterval(() => { turns += 1; }, 1);
  application(() => { const until = performance.now() + 1; while (performance.now() < until); }).startBundle(ids(64), heard);

  await heard.done;

  clearInterval(timer);
  assert.ok(turns >= 2, `${turns} turns`);
  assert.ok(heard.chunks.length >= 3);
  assert.equal(heard.indexes.flat().length, 64);
});

test("an answer ends once, also when a function that waited is done while busy ones are left", async () => {
  const heard = listen();
  let ends = 0;
  const end = heard.end;
  heard.end = (chunk) => { ends += 1; end(chunk); };
  application(({ self }) => {
    if (self.id === "0") {
      return Promise.resolve();
    }
    const until = performance.now() + 1;
    while (performance.now() < until);
    return undefined;
  }).startBundle(ids(20), heard);

  await heard.done;
  await new Promise((resolve) => { setTimeout(resolve, 10); });

  assert.equal(ends, 1);
  assert.equal(heard.indexes.flat().length, 20);
});

test("nothing more is begun while the other side does not read", async () => {
  const heard = listen();
  let begun = 0;
  heard.isFull = true;
  application(async () => { begun += 1; await null; }, { bundleConcurrency: 2 }).startBundle(ids(20), heard);
  await new Promise((resolve) => { setTimeout(resolve, 20); });
  assert.equal(begun, 2);

  heard.isFull = false;
  heard.drain();
  await heard.done;
  assert.equal(begun, 20);
});

test("nothing more is begun when the other side has gone", async () => {
  const heard = listen();
  let begun = 0;
  application(async () => { begun += 1; heard.isGone = true; await null; }, { bundleConcurrency: 2 }).startBundle(ids(20), heard);
  await new Promise((resolve) => { setTimeout(resolve, 20); });
  assert.equal(begun, 1);
});

test("errors of another realm are told like others", async () => {
  const { statefun } = serving(() => vm.runInNewContext("null.x"));
  const [{ failure }] = outcomes((await statefun.respond(bundle(request()), OF_BUNDLES)).body);
  assert.match(failure.text, /^TypeError: Cannot read properties of null/);
});
