// The same package for CommonJS.
import sdk = require("statefun-sdk");

const statefun = new sdk.StateFun();
statefun.bind({
  typename: "example/greeter",
  specs: [{ name: "seen", type: sdk.StateFun.intType() }],
  fn(context) {
    const seen: number | null = context.storage.seen;
    context.storage.seen = (seen ?? 0) + 1;
  },
});
