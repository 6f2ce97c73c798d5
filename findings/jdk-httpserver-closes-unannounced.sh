#!/usr/bin/env bash
# The JDK's HttpServer closes every connection after its reply once 200 others are idle, and does not say so.
#
# A good guess: a server that will not keep a connection answers `Connection: close` (RFC 9112, 9.6), or closes the one
# that has been idle for longest.
# Found with the JDK 17's com.sun.net.httpserver: `sun.net.httpserver.maxIdleConnections` is 200. Of 250 connections the last
# 50 are closed right behind a reply whose head has no word of it. A client that sends its next request at that moment has
# it lost, and cannot know whether it was read.
#
# Seen:
#   250 replies, 0 with "Connection: close", 50 connections closed
set -euo pipefail
folder=$(mktemp -d); server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$folder"' EXIT
cat > "$folder/Server.java" <<'JAVA'
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;

public class Server {
  public static void main(String[] arguments) throws Exception {
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
    server.createContext("/", exchange -> {
      exchange.sendResponseHeaders(200, 2);
      exchange.getResponseBody().write("ok".getBytes());
      exchange.close();
    });
    server.start();
    System.out.println(server.getAddress().getPort());
  }
}
JAVA
java "$folder/Server.java" > "$folder/port" & server=$!
for _ in $(seq 200); do [ -s "$folder/port" ] && break; sleep 0.1; done
cat > "$folder/try.py" <<'PY'
import socket
import sys

port = int(sys.argv[1])
said = 0
connections = []
for _ in range(250):
    there = socket.create_connection(("127.0.0.1", port), timeout=10)
    there.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    reply = b""
    while not reply.endswith(b"ok"):
        reply += there.recv(4096)
    said += b"connection: close" in reply.lower()
    connections.append(there)
closed = 0
for there in connections:
    there.settimeout(0.02)
    try:
        closed += there.recv(1) == b""
    except TimeoutError:
        pass
print(f'{len(connections)} replies, {said} with "Connection: close", {closed} connections closed')
sys.exit(not (said == 0 and closed >= 40))
PY
python3 "$folder/try.py" "$(cat "$folder/port")"
