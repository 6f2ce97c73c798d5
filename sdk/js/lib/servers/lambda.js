"use strict";
// AWS Lambda: events of function URLs, of API gateways (both formats) and of load balancers have the same body and headers.

const { RequestError } = require("../failures.js");

async function handleLambda(app, event) {
  const { status, headers, body } = await answer(app, event);
  return { statusCode: status, headers, body: body.toString("base64"), isBase64Encoded: true };
}

async function answer(app, event) {
  if (typeof event?.body !== "string") {
    return app.failed(new RequestError(400, "the event has no body: is it one of a function URL, an API gateway or a load balancer?"));
  }
  if (event.isBase64Encoded !== true) {
    return app.failed(
      new RequestError(415, "the body of the event is text, not base64: tell the gateway that application/octet-stream and application/vnd.statefun.bundle are binary"),
    );
  }
  return app.respond(Buffer.from(event.body, "base64"), headersOf(event));
}

/** A load balancer may be told to send all values of each header. */
function headersOf(event) {
  const many = Object.entries(event.multiValueHeaders ?? {}).map(([name, values]) => [name, values.join(",")]);
  return event.headers ?? Object.fromEntries(many);
}

module.exports = { handleLambda };
