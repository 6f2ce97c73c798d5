"use strict";
// Node's http, and what hands its requests and responses on: Express, Fastify and others.

const { RequestError } = require("../failures.js");
const { BUNDLE, OFFER } = require("../application.js");

const METHODS = new Set(["POST", "PUT"]);

/** Answer a request, whatever becomes of it; resolves when there is nothing left to do here. */
async function handleHttp(app, request, response) {
  try {
    if (!METHODS.has(request.method)) {
      response.setHeader("Allow", "POST");
      throw new RequestError(405, `a runtime calls with POST, not with ${request.method}`);
    }
    const bytes = await bodyOf(request, app.bytesMax);
    if (bytes === null) {
      return;
    }
    if (app.isBundle(request.headers["content-type"])) {
      app.startBundle(bytes, new BundleOutput(response));
      return;
    }
    const reply = app.reply(bytes);
    // Awaiting what is there already would cost a turn for each request.
    const body = reply instanceof Promise ? await reply : reply;
    send(response, 200, app.headers(request.headers[OFFER]), body);
  } catch (error) {
    fail(app, response, error);
  }
}

function fail(app, response, error) {
  const { status, headers, body } = app.failed(error);
  if (status === 413) {
    // The rest of the request is not read.
    headers.Connection = "close";
  }
  send(response, status, headers, body);
}

function send(response, status, headers, body) {
  if (response.headersSent) {
    // Somebody else has answered: a middleware that waits only so long.
    return;
  }
  headers["Content-Length"] = body.length;
  response.writeHead(status, headers);
  response.end(body);
}

/** Return the whole body; null if the connection broke before. A body that a parser has read already is taken from it. */
function bodyOf(request, bytesMax) {
  if (Buffer.isBuffer(request.body)) {
    return request.body;
  }
  if (request.destroyed && !request.readableEnded) {
    return null;
  }
  if (request.readableEnded) {
    throw new RequestError(
      500,
      "the body of the request was read before: serve the functions before body parsers, or parse it with express.raw({ type: () => true })",
    );
  }
  return new Promise((resolve, reject) => {
    const chunks = [];
    let size = 0;
    request.on("data", (chunk) => {
      size += chunk.length;
      if (size > bytesMax) {
        request.removeAllListeners("data");
        request.pause();
        reject(new RequestError(413, `the request is larger than maxRequestBytes of StateFun, ${bytesMax} bytes`));
        return;
      }
      chunks.push(chunk);
    });
    request.on("end", () => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
    request.on("close", () => resolve(null));
    request.on("error", () => resolve(null));
  });
}

/** Where the outcomes of a bundle go: with a Content-Length if all of them come at once, in parts otherwise. */
class BundleOutput {
  #response;

  constructor(response) {
    this.#response = response;
  }

  get isFull() {
    return this.#response.writableNeedDrain;
  }

  get isGone() {
    return this.#response.destroyed || this.#response.writableEnded;
  }

  drained() {
    return new Promise((resolve) => {
      this.#response.once("drain", resolve);
    });
  }

  write(chunk) {
    if (!this.isGone) {
      this.#begin({});
      this.#response.write(chunk);
    }
  }

  end(chunk) {
    if (!this.isGone) {
      this.#begin({ "Content-Length": chunk.length });
      this.#response.end(chunk);
    }
  }

  #begin(headers) {
    if (!this.#response.headersSent) {
      this.#response.writeHead(200, { "Content-Type": BUNDLE, ...headers });
    }
  }
}

module.exports = { handleHttp };
