"use strict";
// What is bound, and how it is served.

const { shown } = require("./address.js");
const { Application } = require("./application.js");
const { fastifyPlugin } = require("./servers/fastify.js");
const { handleHttp } = require("./servers/http.js");
const { handleLambda } = require("./servers/lambda.js");
const { BOOLEAN, DOUBLE, FLOAT, INT, LONG, STRING } = require("./types/primitives.js");
const { JsonType, ProtoType } = require("./types/structured.js");
const { CustomType } = require("./types/type.js");

const MIB = 1024 * 1024;
const DEFAULTS = {
  log: (text, error) => console.error(...(error === undefined ? [text] : [text, error])),
  showStacks: false,
  bundles: true,
  bundleConcurrency: 256,
  maxRequestBytes: 64 * MIB,
};

/** The functions of one server. */
class StateFun {
  #application;

  constructor(options = {}) {
    const unknown = Object.keys(options).find((name) => !(name in DEFAULTS));
    if (unknown !== undefined) {
      throw new TypeError(`StateFun has no option ${shown(unknown)}; it has ${Object.keys(DEFAULTS).join(", ")}`);
    }
    if (options.log !== undefined && typeof options.log !== "function") {
      throw new TypeError(`the option log must be a function, not ${shown(options.log)}`);
    }
    for (const name of ["bundleConcurrency", "maxRequestBytes"]) {
      if (options[name] !== undefined && !(Number.isInteger(options[name]) && options[name] > 0)) {
        throw new TypeError(`the option ${name} must be a whole number above 0, not ${shown(options[name])}`);
      }
    }
    this.#application = new Application({ ...DEFAULTS, ...options });
  }

  static booleanType() {
    return BOOLEAN;
  }

  static intType() {
    return INT;
  }

  static longType() {
    return LONG;
  }

  static floatType() {
    return FLOAT;
  }

  static doubleType() {
    return DOUBLE;
  }

  static stringType() {
    return STRING;
  }

  static jsonType(typename) {
    return new JsonType(typename);
  }

  static protoType(typename, messageClass) {
    return new ProtoType(typename, messageClass);
  }

  static customType(typename, serialize, deserialize) {
    return new CustomType(typename, serialize, deserialize);
  }

  /** Bind a function to a typename; one that was bound to it before is replaced. */
  bind(options) {
    this.#application.bind(options);
  }

  /** Return the request listener for Node's http and https, and for Express. */
  handler() {
    return (request, response) => this.handle(request, response);
  }

  async handle(request, response) {
    await handleHttp(this.#application, request, response);
  }

  /** Return the plugin that serves a path of a Fastify server: `{ path: "/statefun" }`. */
  fastify() {
    return fastifyPlugin(this.#application);
  }

  /** Return the handler of an AWS Lambda function, behind a function URL, an API gateway or a load balancer. */
  lambda() {
    return (event) => handleLambda(this.#application, event);
  }

  /** Respond to a request that came by other ways: whatever becomes of it, there is a response. */
  respond(body, headers = {}) {
    return this.#application.respond(body, headers);
  }
}

module.exports = { StateFun };
