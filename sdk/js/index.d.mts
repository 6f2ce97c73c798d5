export * from "./lib/index.js";
import * as sdk from "./lib/index.js";
export default sdk;
