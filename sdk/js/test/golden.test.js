"use strict";
// The answers that the stock JavaScript SDK gave, byte for byte (tests/conformance/golden/golden_cases.tsv).

const assert = require("node:assert/strict");
const { before, mock, test } = require("node:test");
const { readGolden } = require("./support/golden.js");

const APPS = {
  kitchen: require("./apps/kitchen.js").statefun,
  greeter: require("./apps/greeter.js").statefun,
};
/** The recording of its request is cut, so that it cannot be sent again. */
const CUT = "big_2MiB";
/** What a server answers before the SDK sees anything. */
const OF_THE_SERVER = "get_method";
/** The stock SDK says 500, whatever happened; ours says whether the runtime, the module or the function must change. */
const STATUSES = { unknown_function: 404, garbage_body: 400, empty_body: 400 };

const cases = readGolden("golden_cases.tsv").filter((row) => row.sdk === "js-3.3.0");

before(() => {
  mock.method(console, "error", () => {});
});

test("every row of the stock JavaScript SDK is replayed or left out by name", () => {
  assert.equal(cases.length, 53);
});

for (const row of cases.filter((one) => one.case !== CUT && one.case !== OF_THE_SERVER)) {
  test(`${row.app} ${row.case}`, async () => {
    const answer = await APPS[row.app].respond(Buffer.from(row.request_hex, "hex"));

    assert.equal(answer.status, STATUSES[row.case] ?? Number(row.http_status));
    if (answer.status === 200) {
      assert.equal(answer.body.toString("hex"), row.response_hex);
      assert.equal(answer.headers["Content-Type"], "application/octet-stream");
    }
  });
}
