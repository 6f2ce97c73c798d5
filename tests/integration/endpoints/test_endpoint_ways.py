"""A real worker whose functions are behind TLS, a socket, a redirect, or want to know who asks."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.applications import HttpApplication, documents, endpoint, playground
from tests.integration.scripted import COMMAND, script
from tests.support.authority import Authority
from tests.support.http.raw_http import RawRequest, RawServer, response
from tests.support.processes import wait_until
from tests.support.sockets import free_port

pytestmark = pytest.mark.integration

Applications = Callable[..., HttpApplication]


@contextmanager
def served(server: RawServer) -> Iterator[RawServer]:
    """Run a server on a loop of its own until the block ends."""
    started = threading.Event()
    stop: list[Callable[[], object]] = []

    async def main() -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        stop.append(lambda: loop.call_soon_threadsafe(over.set))
        async with server:
            started.set()
            await over.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    try:
        assert started.wait(10)
        yield server
    finally:
        stop[0]()
        thread.join()


def answer(request: RawRequest) -> bytes:
    """Serve `t/script` to whoever has the token."""
    if request.headers.get("authorization") != "Bearer open":
        return response(b"who are you?", 401)
    handled = script(request.body)
    try:
        handled.send(None)
    except StopIteration as done:
        return response(done.value)
    raise AssertionError("the script waits for nothing")


def with_token(component: str, path: Path) -> str:
    return f"{component}  headers:\n    Authorization: {{file: '{path}'}}\n"


def test_functions_behind_mutual_tls_get_a_token_that_changes(
    application: Applications, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    worker = authority.issue("worker", password=b"sesame")
    (tmp_path / "password").write_text("sesame\n")
    token = tmp_path / "token"
    token.write_text("Bearer old\n")
    transport = (
        f"call: 200ms, trust_cacerts: {authority.file}, client_cert: {worker.cert}, "
        f"client_key: {worker.key}, client_key_password: {tmp_path}/password"
    )
    context = authority.issue("server").server_context(authority)
    with served(RawServer(answer, tls=context)) as server:
        component = endpoint(server.url(), "t/*", transport=transport)
        app = application(with_token(component, token), topic="out")
        app.send("t/script/a", {"text": "x"}, COMMAND)
        wait_until(lambda: app.failures("status") > 0, "a refusal")
        assert app.take() is None

        token.write_text("Bearer open\n")

        assert app.receive(1) == ["a x 1"]
        assert "Bearer" not in app.worker.output()
        app.close()


@pytest.mark.parametrize("kind", ["async", "okhttp"])
def test_functions_behind_a_socket_are_called(
    application: Applications, tmp_path: Path, kind: str
) -> None:
    token = tmp_path / "token"
    token.write_text("Bearer open")
    path = tmp_path / "fns.sock"
    with served(RawServer(answer, socket=path)):
        transport = f"type: io.statefun.transports.v1/{kind}"
        component = endpoint(f"http+unix://{path}/statefun", "t/*", transport=transport)
        app = application(with_token(component, token), topic="out")
        for text in "xyz":
            app.send("t/script/a", {"text": text}, COMMAND)

        assert app.receive(3) == ["a x 1", "a y 2", "a z 3"]
        app.close()


def test_a_file_that_cannot_be_used_ends_the_worker_before_anything_begins(tmp_path: Path) -> None:
    away = tmp_path / "ca.pem"
    transport = f"trust_cacerts: {away}"
    module = tmp_path / "module.yaml"
    module.write_text(
        documents(
            endpoint("https://fns/", "t/*", transport=transport),
            playground(free_port(), free_port(), "out"),
        )
    )
    command = [sys.executable, "-m", "statefun_runtime.cli", "--module", str(module)]
    command += ["--state-dir", str(tmp_path / "state")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)

    assert done.returncode == 2
    assert done.stderr == (
        f"SF1046: trust_cacerts '{away}' cannot be used: no such file or directory\n"
        "hint: check the path and who may read it\n"
    )
    assert not (tmp_path / "state").exists()
