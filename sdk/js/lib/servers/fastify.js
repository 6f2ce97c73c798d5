"use strict";
// Fastify: a plugin with a route, which hands the plain request and response on.

const { handleHttp } = require("./http.js");

function fastifyPlugin(app) {
  return async function statefun(server, { path = "/statefun" } = {}) {
    // Parsers of the server around would read the body, and have a limit of 1 MiB. What is changed here stays in here.
    server.removeAllContentTypeParsers();
    server.addContentTypeParser("*", (_request, _payload, done) => done(null));
    server.post(path, (request, reply) => {
      reply.hijack();
      return handleHttp(app, request.raw, reply.raw);
    });
  };
}

module.exports = { fastifyPlugin };
