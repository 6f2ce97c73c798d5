#!/usr/bin/env bash
# gunicorn's threaded worker does not stop when it has answered what it had accepted, if that was more than it has threads:
# it hangs until graceful_timeout (30 s by default) is over, and is killed; the log may say "Perhaps out of memory?".
#
# A good guess: SIGTERM stops listening, what was accepted is answered, and then the process ends: here after 1.2 s (24 requests
# of 0.2 s each on 4 threads), plus the two seconds of keep-alive.
# Found with gunicorn 27.0.1, -k gthread --threads 4 --graceful-timeout 8: with 4 requests out it ends after 2.4 s; with 24,
# all of which are answered, it ends after the whole 8 s. A rolling update takes 30 s for each instance.
#
# Seen:
#   4 of 4 answered, stopped 2.1 s after SIGTERM
#   24 of 24 answered, stopped 8.1 s after SIGTERM
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check gunicorn==27.0.1
cat > "$folder/serve.py" <<'PY'
import time


def app(environ, start_response):
    time.sleep(0.2)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]
PY
cat > "$folder/try.py" <<'PY'
import socket
import subprocess
import sys
import time


def ask(port):
    there = socket.create_connection(("127.0.0.1", port), timeout=60)
    there.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return there


def is_answered(there):
    try:
        return there.recv(4096).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def stop_with(count, folder):
    """Return how long the stop took, or for ever if not all were answered."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "-k", "gthread", "--threads", "4", "serve:app"]
    command += ["--graceful-timeout", "8", "-b", f"127.0.0.1:{port}", "--log-level", "error"]
    server = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
    for _ in range(200):
        try:
            first = ask(port)
            break
        except OSError:
            time.sleep(0.05)
    assert is_answered(first)
    asked = [ask(port) for _ in range(count)]
    time.sleep(0.3)
    began = time.monotonic()
    server.terminate()
    answered = sum(map(is_answered, asked))
    server.wait(60)
    took = time.monotonic() - began
    print(f"{answered} of {count} answered, stopped {took:.1f} s after SIGTERM", flush=True)
    return took if answered == count else float("inf")


few, many = (stop_with(count, sys.argv[1]) for count in (4, 24))
sys.exit(not (few < 5 and 7 < many < 12))
PY
"$folder/venv/bin/python" "$folder/try.py" "$folder"
