"use strict";
// The golden cases of the whole project.

const fs = require("node:fs");
const path = require("node:path");

const GOLDEN = path.join(__dirname, "../../../../tests/conformance/golden");

/** Return the rows of a table, each with the names of its head. */
function readGolden(file) {
  const [head, ...rows] = fs.readFileSync(path.join(GOLDEN, file), "utf8").trimEnd().split("\n");
  const names = head.split("\t");
  return rows.map((row) => Object.fromEntries(row.split("\t").map((cell, place) => [names[place], cell === "-" ? "" : cell])));
}

module.exports = { readGolden };
