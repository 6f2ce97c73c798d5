"use strict";
// Every program in README.md runs. The pieces of functions.mjs are run with a worker by tests/integration/test_pages.py.

const assert = require("node:assert/strict");
const { spawn, spawnSync } = require("node:child_process");
const fs = require("node:fs");
const net = require("node:net");
const os = require("node:os");
const path = require("node:path");
const { once } = require("node:events");
const { after, before, test } = require("node:test");
const { pathToFileURL } = require("node:url");
const { request, result, text } = require("./support/requests.js");

const HOME = path.join(__dirname, "..");
const README = fs.readFileSync(path.join(HOME, "README.md"), "utf8");
const BLOCKS = [...README.matchAll(/^```(\w*)\n([^]*?)^```$/gm)].map(([, language, content]) => ({ language, content }));

let folder;

before(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "statefun-readme-"));
  fs.mkdirSync(path.join(folder, "node_modules"));
  for (const name of ["express", "fastify", "typescript", "@types"]) {
    fs.symlinkSync(path.join(HOME, "node_modules", name), path.join(folder, "node_modules", name));
  }
  fs.symlinkSync(HOME, path.join(folder, "node_modules", "statefun-sdk"));
});
after(() => fs.rmSync(folder, { recursive: true }));

/** Write the program whose first line has this name; what it says of port 8000 is said of another. */
function write(name, port = 8000) {
  const block = BLOCKS.find(({ language, content }) => language === "javascript" && content.startsWith(`// ${name}\n`));
  const file = path.join(folder, name);
  fs.writeFileSync(file, block.content.replace("8000", String(port)));
  return file;
}

async function freePort() {
  const server = net.createServer().listen(0);
  await once(server, "listening");
  const { port } = server.address();
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}

async function until(what) {
  for (;;) {
    try {
      return await what();
    } catch (error) {
      assert.match(String(error.cause?.code ?? error), /ECONNREFUSED/);
      await new Promise((resolve) => { setTimeout(resolve, 20); });
    }
  }
}

test("every block is of a kind that some test runs", () => {
  const languages = new Set(BLOCKS.map(({ language }) => language));
  assert.deepEqual([...languages].sort(), ["", "javascript", "text", "typescript", "yaml"]);
  const named = BLOCKS.filter(({ content }) => /^\/\/ \w+\.mjs\n/.test(content));
  assert.equal(named.length, 3);
});

for (const name of ["express.mjs", "fastify.mjs"]) {
  test(`${name} serves`, async () => {
    const port = await freePort();
    const child = spawn(process.execPath, [write(name, port)], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
    try {
      const body = request({ type: "hello" });
      const answer = await until(() => fetch(`http://localhost:${port}/statefun`, { method: "POST", body }));
      assert.equal(answer.status, 200);
      const [printed] = await once(child.stdout, "data");
      assert.equal(String(printed), "hello zoe\n");
    } finally {
      child.kill();
      await once(child, "exit");
    }
  });
}

test("lambda.mjs answers an event", async (t) => {
  const said = t.mock.method(console, "log", () => {});
  const { handler } = await import(pathToFileURL(write("lambda.mjs")));
  const answer = await handler({ body: request({ type: "hello" }).toString("base64"), isBase64Encoded: true, headers: {} });
  assert.equal(answer.statusCode, 200);
  assert.deepEqual(said.mock.calls[0].arguments, ["hello zoe"]);
});

test("the TypeScript is well typed", () => {
  const { content } = BLOCKS.find(({ language }) => language === "typescript");
  fs.writeFileSync(path.join(folder, "program.mts"), content);
  const compiler = require.resolve("typescript/lib/tsc.js");
  const options = ["--strict", "--noEmit", "--target", "es2023", "--module", "nodenext", "--types", "node"];
  const done = spawnSync(process.execPath, [compiler, ...options, "program.mts"], { cwd: folder, encoding: "utf8" });
  assert.equal(done.stdout + done.stderr, "");
});

test("the error that is shown is what is said", async () => {
  const { StateFun } = require("statefun-sdk");
  const statefun = new StateFun({ log: () => {} });
  const specs = [{ name: "seen", type: StateFun.intType() }];
  statefun.bind({ typename: "example/greeter", specs, fn(context, message) { context.storage.seen = Number(message.asString()); } });
  const answer = await statefun.respond(request({ type: "greeter", state: { seen: null }, messages: [text("many")] }));
  assert.ok(README.includes(`\`${answer.body}\``));
  assert.equal(result((await statefun.respond(request({ type: "greeter", state: { seen: null }, messages: [text("7")] }))).body).state_mutations.length, 1);
});
