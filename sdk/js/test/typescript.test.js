"use strict";
// The hand-written types, by the compiler: programs that must pass, with lines in them that must not.

const assert = require("node:assert/strict");
const { spawnSync } = require("node:child_process");
const path = require("node:path");
const { test } = require("node:test");
const sdk = require("statefun-sdk");

test("programs for ESM and for CommonJS, and one for the stock SDK, are well typed under --strict", () => {
  const compiler = require.resolve("typescript/lib/tsc.js");
  const done = spawnSync(process.execPath, [compiler, "--project", path.join(__dirname, "types")], { encoding: "utf8" });
  assert.equal(done.stdout + done.stderr, "");
  assert.equal(done.status, 0);
});

test("both kinds of modules export the same", async () => {
  const esm = await import("statefun-sdk");
  assert.equal(esm.default, sdk);
  assert.deepEqual(Object.keys(esm).filter((name) => name !== "default").sort(), Object.keys(sdk).sort());
  assert.ok(Object.keys(sdk).every((name) => esm[name] === sdk[name]));
});
