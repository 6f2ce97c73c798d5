"use strict";
// From the body of a request to that of its answer, whatever brought it.

const { shown } = require("./address.js");
const { Batch } = require("./batch.js");
const { Bundle } = require("./bundle.js");
const { Failures, RequestError } = require("./failures.js");
const { FunctionSpec, Functions } = require("./specs.js");
const { asBuffer } = require("./types/type.js");
const { Names } = require("./wire/reader.js");
const { Writer } = require("./wire/writer.js");

const OCTETS = "application/octet-stream";
const BUNDLE = "application/vnd.statefun.bundle";
/** In a request: the runtime understands bundles. In an answer to it: it may send some. */
const OFFER = "statefun-bundle";
const OFFER_SHOWN = "StateFun-Bundle";
const VERSION = "1";
const WRITER_BYTES = 64 * 1024;

/** Everything that the requests of one server share. */
class Application {
  functions = new Functions();
  names = new Names();

  constructor(options) {
    this.failures = new Failures({ log: options.log, showStacks: options.showStacks, now: () => performance.now() });
    this.concurrency = options.bundleConcurrency;
    this.bytesMax = options.maxRequestBytes;
    this.takesBundles = options.bundles;
    this.writer = new Writer(WRITER_BYTES);
  }

  bind(options) {
    this.functions.bind(new FunctionSpec(options));
  }

  /** Whether a request with this content type is a bundle. */
  isBundle(contentType) {
    return this.takesBundles && typeof contentType === "string" && contentType.toLowerCase().startsWith(BUNDLE);
  }

  /** Return the headers of a good answer. `offer` is what the request's header of that name had. */
  headers(offer) {
    const isOffered = this.takesBundles && typeof offer === "string" && offer.split(",").some((one) => one.trim() === VERSION);
    return isOffered ? { "Content-Type": OCTETS, [OFFER_SHOWN]: VERSION } : { "Content-Type": OCTETS };
  }

  /** Return the body of the answer to one batch: bytes, or a promise of them. What it throws is for `failed`. */
  reply(bytes) {
    const batch = new Batch(this.functions, bytes, 0, bytes.length, this.names);
    let promise;
    try {
      promise = batch.run();
    } catch (error) {
      throw failureOf(batch, error);
    }
    return promise === undefined ? this.#write(batch) : this.#writeAfter(batch, promise);
  }

  /** Work on a bundle; its outcomes are written to `output`. */
  startBundle(bytes, output) {
    new Bundle(this, bytes, output).start();
  }

  /** Return the status, headers and body that tell of what was thrown in here. */
  failed(thrown) {
    const { error, address } = thrown instanceof BatchFailure ? thrown : { error: thrown, address: null };
    const { status, text } = this.failures.tell(error, address);
    return { status, headers: { "Content-Type": "text/plain; charset=utf-8" }, body: Buffer.from(text) };
  }

  async respond(body, headers) {
    try {
      if (!(body instanceof Uint8Array)) {
        throw new RequestError(400, `the body of a request must be a Buffer or Uint8Array, not ${shown(body)}`);
      }
      const bytes = asBuffer(body);
      if (this.isBundle(header(headers, "content-type"))) {
        return { status: 200, headers: { "Content-Type": BUNDLE }, body: await this.#wholeBundle(bytes) };
      }
      return { status: 200, headers: this.headers(header(headers, OFFER)), body: await this.reply(bytes) };
    } catch (error) {
      return this.failed(error);
    }
  }

  #wholeBundle(bytes) {
    return new Promise((resolve, reject) => {
      const chunks = [];
      const output = {
        isFull: false,
        isGone: false,
        write: (chunk) => chunks.push(chunk),
        end: (chunk) => resolve(Buffer.concat([...chunks, chunk])),
      };
      try {
        this.startBundle(bytes, output);
      } catch (error) {
        reject(error);
      }
    });
  }

  async #writeAfter(batch, promise) {
    try {
      await promise;
    } catch (error) {
      throw failureOf(batch, error);
    }
    return this.#write(batch);
  }

  #write(batch) {
    try {
      batch.write(this.writer);
      return this.writer.take();
    } catch (error) {
      this.writer.backTo(0);
      throw failureOf(batch, error);
    }
  }
}

/** What a function threw, and the address that it was invoked for. */
class BatchFailure {
  constructor(error, address) {
    this.error = error;
    this.address = address;
  }
}

function failureOf(batch, error) {
  batch.close();
  return new BatchFailure(error, batch.address);
}

/** Return a header by its name in lower case, whatever case it came in. */
function header(headers, name) {
  const found = Object.keys(headers ?? {}).find((one) => one.toLowerCase() === name);
  return found === undefined ? undefined : String(headers[found]);
}

module.exports = { Application, BUNDLE, OFFER };
