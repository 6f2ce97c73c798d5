"use strict";
// What npm packs is what a program needs, for both kinds of modules.

const assert = require("node:assert/strict");
const { execFileSync, spawnSync } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { test } = require("node:test");

const HOME = path.join(__dirname, "..");
const PROGRAM = 'const s = new StateFun(); s.bind({ typename: "a/b", fn() {} }); console.log(typeof s.handler(), StateFun.intType().typename);';
const hasNpm = spawnSync("npm", ["--version"]).status === 0;

test("a packed and unpacked package can be imported and required", { skip: hasNpm ? false : "npm is not there" }, () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "statefun-package-"));
  try {
    const [{ filename, files }] = JSON.parse(execFileSync("npm", ["pack", "--json", "--pack-destination", folder], { cwd: HOME, encoding: "utf8" }));
    execFileSync("tar", ["-xzf", path.join(folder, filename), "-C", folder]);
    fs.mkdirSync(path.join(folder, "node_modules"));
    fs.renameSync(path.join(folder, "package"), path.join(folder, "node_modules", "statefun-sdk"));
    fs.writeFileSync(path.join(folder, "one.mjs"), `import { StateFun } from "statefun-sdk"; ${PROGRAM}`);
    fs.writeFileSync(path.join(folder, "two.cjs"), `const { StateFun } = require("statefun-sdk"); ${PROGRAM}`);

    for (const program of ["one.mjs", "two.cjs"]) {
      assert.equal(execFileSync(process.execPath, [program], { cwd: folder, encoding: "utf8" }), "function io.statefun.types/int\n");
    }
    const packed = files.map((file) => file.path);
    assert.ok(["LICENSE", "NOTICE", "README.md", "index.d.mts", "lib/index.d.ts"].every((name) => packed.includes(name)));
    assert.ok(packed.every((name) => !name.startsWith("test/")), String(packed));
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});
