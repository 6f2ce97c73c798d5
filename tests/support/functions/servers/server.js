// Node: answers every request with a fixed reply; `/slow` takes 20 ms. Arguments: port, reply in hex.
const http = require("http");

const reply = Buffer.from(process.argv[3], "hex");
const headers = { "Content-Type": "application/octet-stream", "Content-Length": reply.length };

const server = http.createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    const answer = () => response.writeHead(200, headers).end(reply);
    if (request.url === "/slow") setTimeout(answer, 20);
    else answer();
  });
});
server.keepAliveTimeout = 1000;
process.on("SIGTERM", () => server.close(() => process.exit(0)));
server.listen(Number(process.argv[2]), "127.0.0.1");
