"""Function servers of several kinds, each as its authors made it: they answer every request with one reply.

`/slow` takes 20 ms; SIGTERM ends a server the way that its documentation calls graceful, where there is one.
"""

import hashlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.provisions import command_path, made_once, run_or_unavailable

SOURCES = Path(__file__).parent / "functions" / "servers"
_PINS = ("uvicorn==0.54.0", "gunicorn==27.0.1")


@dataclass(frozen=True)
class Command:
    """How a server is run."""

    words: list[str]
    env: Mapping[str, str] = field(default_factory=dict)


Make = Callable[[int, bytes], Command]


def _aiohttp(port: int, reply: bytes) -> Command:
    return Command([sys.executable, str(SOURCES / "serve_aiohttp.py"), str(port), reply.hex()])


def _statefun(*options: str) -> Make:
    def make(port: int, reply: bytes) -> Command:
        words = [sys.executable, "-m", "statefun", "serve", "serve_statefun", "--path", "/"]
        env = {"PYTHONPATH": str(SOURCES), "REPLY": reply.hex()}
        return Command([*words, "--port", str(port), *options], env)

    return make


def _uvicorn(port: int, reply: bytes) -> Command:
    return _python("uvicorn", "serve_asgi:app", "--port", port, "--timeout-keep-alive", 1)(reply)


def _gthread(port: int, reply: bytes) -> Command:
    return _gunicorn(port, reply, "-k", "gthread", "--threads", 16, "--keep-alive", 1)


def _sync(port: int, reply: bytes) -> Command:
    return _gunicorn(port, reply)


def _gunicorn(port: int, reply: bytes, *options: str | int) -> Command:
    return _python("gunicorn", "serve_wsgi:app", "-b", f"127.0.0.1:{port}", *options)(reply)


def _python(program: str, *arguments: str | int) -> Callable[[bytes], Command]:
    home = made_once("servers-python", _make_python_home)
    words = [str(home / "bin" / program), *(str(argument) for argument in arguments)]
    env = {"PYTHONPATH": str(SOURCES)}
    return lambda reply: Command(words, {**env, "REPLY": reply.hex()})


def _make_python_home(home: Path) -> None:
    run_or_unavailable([sys.executable, "-m", "venv", home], cwd=home, timeout_s=120)
    pip: list[str | Path] = [home / "bin" / "python", "-m", "pip", "install", "--quiet"]
    run_or_unavailable([*pip, *_PINS], cwd=home, timeout_s=300)
    # The home is moved when it is whole, and scripts name the interpreter that made them.
    for script in ("uvicorn", "gunicorn"):
        made = home / "bin" / script
        made.write_text(
            "#!/bin/sh\n" + f'exec "$(dirname "$0")/python" -m {script} "$@"\n', encoding="utf-8"
        )


def _node(port: int, reply: bytes) -> Command:
    return Command([command_path("node"), str(SOURCES / "server.js"), str(port), reply.hex()])


def _go(port: int, reply: bytes) -> Command:
    def make(home: Path) -> None:
        # Nothing but the standard library.
        build: list[str | Path] = [
            command_path("go"),
            "build",
            "-o",
            home / "server",
            SOURCES / "server.go",
        ]
        run_or_unavailable(build, cwd=home, timeout_s=300)

    home = made_once(_home("go", "server.go"), make)
    return Command([str(home / "server"), str(port), reply.hex()])


def _java(port: int, reply: bytes) -> Command:
    def make(home: Path) -> None:
        build: list[str | Path] = [command_path("javac"), "-d", home, SOURCES / "Server.java"]
        run_or_unavailable(build, cwd=home, timeout_s=300)

    home = made_once(_home("java", "Server.java"), make)
    options = ["-XX:TieredStopAtLevel=1", "-Dsun.net.httpserver.nodelay=true"]
    options += ["-Dsun.net.httpserver.idleInterval=1"]
    java = [command_path("java"), *options, "-cp", str(home)]
    return Command([*java, "Server", str(port), reply.hex()])


def _home(language: str, source: str) -> str:
    """Return the name of what is built once: of other sources it is another."""
    return f"servers-{language}-{hashlib.sha256((SOURCES / source).read_bytes()).hexdigest()[:8]}"


SERVERS: dict[str, Make] = {
    "aiohttp": _aiohttp,
    "statefun-serve": _statefun(),
    "statefun-serve-2": _statefun("--processes", "2"),
    "uvicorn": _uvicorn,
    "gunicorn-gthread": _gthread,
    "gunicorn-sync": _sync,
    "node": _node,
    "go": _go,
    "java": _java,
}
