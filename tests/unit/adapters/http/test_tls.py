"""TLS of both clients against real servers: whom they trust, whom they say they are, files that are replaced."""

import asyncio
import logging
import os
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from statefun_runtime.adapters.http.tls import ClientTls
from statefun_runtime.core.module.specs import TlsSpec
from statefun_runtime.core.partition.retry import Cause, Failure
from statefun_runtime.errors import ConfigError
from statefun_runtime.ports.function_client import FunctionClient
from tests.support.authority import Authority, Pair
from tests.support.http.clients import make_lean, make_okhttp
from tests.support.http.raw_http import RawServer, response
from tests.support.http.replies import Caller

Make = Callable[..., FunctionClient]


def lean(url: str, tasks: asyncio.TaskGroup, tls: ClientTls) -> FunctionClient:
    return make_lean(url, tasks, tls=tls)


def okhttp(url: str, tasks: asyncio.TaskGroup, tls: ClientTls) -> FunctionClient:
    return make_okhttp(url, tasks, tls=tls)


@pytest.fixture(params=[lean, okhttp], ids=["lean", "okhttp"])
def make(request: pytest.FixtureRequest) -> Make:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@asynccontextmanager
async def calling(make: Make, url: str, tls: ClientTls) -> AsyncIterator[Caller]:
    async with asyncio.TaskGroup() as tasks:
        client = make(url, tasks, tls)
        yield Caller(client)
        client.close()


async def call(make: Make, server: RawServer, tls: ClientTls, host: str = "127.0.0.1") -> object:
    async with calling(make, server.url(host=host), tls) as caller:
        return await caller.call()


def trusting(authority: Authority, pair: Pair | None = None, **more: str) -> TlsSpec:
    files = {"client_cert": str(pair.cert), "client_key": str(pair.key)} if pair else {}
    return TlsSpec(trust_cacerts=str(authority.file), **files, **more)


def serving(pair: Pair, clients_of: Authority | None = None) -> RawServer:
    return RawServer(lambda _: response(b"reply"), tls=pair.server_context(clients_of))


def test_a_server_of_an_authority_that_is_trusted_is_called(make: Make, authority: Authority):
    async def main() -> None:
        async with serving(authority.issue("server")) as server:
            assert await call(make, server, ClientTls(trusting(authority))) == b"reply"

    asyncio.run(main())


def test_a_certificate_is_good_for_the_name_in_the_url_and_no_other(
    make: Make, authority: Authority
):
    async def main() -> None:
        async with serving(authority.issue("server", hosts=("localhost",))) as server:
            tls = ClientTls(trusting(authority))
            assert await call(make, server, tls, host="localhost") == b"reply"
            assert isinstance(await call(make, server, tls, host="127.0.0.1"), Failure)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("hosts", "days", "reason"),
    [
        (("127.0.0.1",), -1, "certificate has expired"),
        (("elsewhere",), 30, "IP address mismatch, certificate is not valid for '127.0.0.1'"),
    ],
)
def test_a_certificate_that_is_not_good_is_an_endpoint_that_cannot_be_reached(
    make: Make, authority: Authority, hosts: tuple[str, ...], days: int, reason: str
):
    async def main() -> None:
        async with serving(authority.issue("server", hosts=hosts, days=days)) as server:
            failure = await call(make, server, ClientTls(trusting(authority)))

            assert isinstance(failure, Failure)
            assert failure.cause is Cause.CONNECT
            where = f"cannot connect to 127.0.0.1:{server.port}: "
            assert failure.detail.startswith(where)
            assert reason in failure.detail
            assert server.requests == []

    asyncio.run(main())


def test_a_server_of_another_authority_is_not_called(
    make: Make, authority: Authority, tmp_path: Path
):
    async def main() -> None:
        async with serving(Authority(tmp_path, "other").issue("server")) as server:
            failure = await call(make, server, ClientTls(trusting(authority)))

            assert isinstance(failure, Failure)
            assert failure.cause is Cause.CONNECT
            assert "certificate verify failed" in failure.detail

    asyncio.run(main())


def test_the_system_s_authorities_are_trusted_by_default(make: Make, authority: Authority):
    async def main() -> None:
        async with serving(authority.issue("server")) as server:
            failure = await call(make, server, ClientTls(TlsSpec()))

            assert isinstance(failure, Failure)
            assert "certificate verify failed" in failure.detail

    asyncio.run(main())


@pytest.mark.parametrize("password", [b"sesame", b"sesame\n", b"sesame\r\n"])
def test_the_worker_shows_its_certificate_whose_key_has_a_password(
    make: Make, authority: Authority, tmp_path: Path, password: bytes
):
    (tmp_path / "password").write_bytes(password)
    pair = authority.issue("worker", password=b"sesame")
    spec = trusting(authority, pair, client_key_password=str(tmp_path / "password"))

    async def main() -> None:
        async with serving(authority.issue("server"), clients_of=authority) as server:
            assert await call(make, server, ClientTls(spec)) == b"reply"
            assert server.peers[0]["subject"] == ((("commonName", "worker"),),)

    asyncio.run(main())


def test_a_server_that_wants_a_certificate_answers_nobody_without_one(
    make: Make, authority: Authority
):
    async def main() -> None:
        async with serving(authority.issue("server"), clients_of=authority) as server:
            failure = await call(make, server, ClientTls(trusting(authority)))

            assert isinstance(failure, Failure)
            assert failure.cause in (Cause.CONNECT, Cause.DISCONNECT)
            assert server.requests == []

    asyncio.run(main())


def test_what_a_server_says_against_the_worker_s_certificate_is_told(authority: Authority):
    # asyncio's servers close without the words; a plain socket says them.
    context = authority.issue("server").server_context(authority)
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    listening.settimeout(0.05)
    is_over = threading.Event()
    kept: list[socket.socket] = []

    def refuse() -> None:
        while not is_over.is_set():
            with suppress(OSError):
                accepted = listening.accept()[0]
                # A socket that is closed with a request unread resets the connection, words and all.
                kept.append(accepted.dup())
                context.wrap_socket(accepted, server_side=True)

    async def main() -> None:
        tls = ClientTls(trusting(authority))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.to_thread(refuse))
            try:
                async with calling(lean, f"https://127.0.0.1:{port}/", tls) as caller:
                    failure = await caller.failure()
            finally:
                is_over.set()

        # With TLS 1.3 the refusal comes when the connection is open already.
        assert failure.cause is Cause.DISCONNECT
        assert failure.detail.startswith("the connection was closed before a whole reply came: ")
        assert "CERTIFICATE_REQUIRED" in failure.detail

    with listening:
        asyncio.run(main())
    for connection in kept:
        connection.close()


@pytest.mark.parametrize("cipher", ["PBE-SHA1-3DES", "PBE-SHA1-RC2-40", "PBE-MD5-DES"])
def test_a_key_under_an_old_cipher_is_opened(authority: Authority, tmp_path: Path, cipher: str):
    pair = authority.issue("worker")
    old = tmp_path / "old.key"
    command = ["openssl", "pkcs8", "-topk8", "-v1", cipher, "-passout", "pass:sesame"]
    command += ["-in", str(pair.key), "-out", str(old), "-provider", "legacy"]
    made = subprocess.run([*command, "-provider", "default"], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"this openssl cannot write such keys: {made.stderr}")
    (tmp_path / "password").write_text("sesame\n")
    spec = trusting(authority, Pair(pair.cert, old), client_key_password=str(tmp_path / "password"))

    async def main() -> None:
        async with serving(authority.issue("server"), clients_of=authority) as server:
            assert await call(lean, server, ClientTls(spec)) == b"reply"

    asyncio.run(main())


def broken(authority: Authority, folder: Path) -> dict[str, tuple[TlsSpec, str]]:
    """Return specs that cannot be used, and what is printed about each."""
    pair, other = authority.issue("worker"), authority.issue("other")
    locked = authority.issue("locked", password=b"sesame")
    empty, wrong = folder / "empty.pem", folder / "wrong"
    damaged = folder / "damaged.pem"
    empty.write_text("")
    wrong.write_text("guess")
    damaged.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    away = folder / "away.pem"

    def client(cert: Path, key: Path, password: Path | None = None) -> TlsSpec:
        return TlsSpec(None, str(cert), str(key), str(password) if password else None)

    path_hint = "hint: check the path and who may read it"
    pem_hint = "hint: a PEM file has a line -----BEGIN CERTIFICATE-----"
    return {
        "no file": (
            TlsSpec(trust_cacerts=str(away)),
            f"trust_cacerts '{away}' cannot be used: no such file or directory\n{path_hint}",
        ),
        "a folder": (
            TlsSpec(trust_cacerts=str(folder)),
            f"trust_cacerts '{folder}' cannot be used: is a directory\n{path_hint}",
        ),
        "not PEM": (
            TlsSpec(trust_cacerts=str(empty)),
            f"trust_cacerts '{empty}' cannot be used: it holds no certificate in PEM form\n{pem_hint}",
        ),
        "damaged authority": (
            TlsSpec(trust_cacerts=str(damaged)),
            f"trust_cacerts '{damaged}' cannot be used: OpenSSL cannot read it",
        ),
        "damaged certificate": (
            client(damaged, pair.key),
            f"client_cert '{damaged}' cannot be used: OpenSSL cannot read it",
        ),
        "certificate for key": (
            client(pair.cert, pair.cert),
            f"client_key '{pair.cert}' cannot be used: it holds no key in PEM form\n"
            "hint: a PEM file has a line -----BEGIN PRIVATE KEY-----",
        ),
        "another's key": (
            client(pair.cert, other.key),
            f"client_key '{other.key}' cannot be used: it does not belong to the certificate in '{pair.cert}'",
        ),
        "no password": (
            client(locked.cert, locked.key),
            f"client_key '{locked.key}' cannot be used: it is encrypted\n"
            "hint: name the file that holds its password: client_key_password",
        ),
        "wrong password": (
            client(locked.cert, locked.key, wrong),
            f"client_key '{locked.key}' cannot be used: its password does not open it, or its cipher is unknown\n"
            f"hint: try: openssl pkey -in {locked.key}",
        ),
        "password away": (
            client(locked.cert, locked.key, away),
            f"client_key_password '{away}' cannot be used: no such file or directory\n{path_hint}",
        ),
    }


@pytest.mark.parametrize(
    "case",
    [
        "no file",
        "a folder",
        "not PEM",
        "damaged authority",
        "damaged certificate",
        "certificate for key",
        "another's key",
        "no password",
        "wrong password",
        "password away",
    ],
)
def test_a_file_that_cannot_be_used_is_told_at_once(
    authority: Authority, tmp_path: Path, case: str
):
    spec, printed = broken(authority, tmp_path)[case]

    with pytest.raises(ConfigError) as raised:
        ClientTls(spec)

    assert str(raised.value) == f"SF1046: {printed}"


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def replace(new: Path, old: Path) -> None:
    """Put a file in another's place, as tools that renew certificates do."""
    os.replace(new, old)


def test_new_connections_use_a_certificate_that_was_replaced(
    make: Make, authority: Authority, tmp_path: Path
):
    async def main() -> None:
        clock = Clock()
        pair = authority.issue("worker")
        tls = ClientTls(trusting(authority, pair), clock)
        async with serving(authority.issue("server"), clients_of=authority) as server:
            assert await call(make, server, tls) == b"reply"
            new = authority.issue("renewed")
            replace(new.cert, pair.cert)
            replace(new.key, pair.key)
            assert await call(make, server, tls) == b"reply"
            clock.now_s += 1.0
            assert await call(make, server, tls) == b"reply"

            names = [dict(peer["subject"][0])["commonName"] for peer in server.peers]  # type: ignore[index]
            assert names == ["worker", "worker", "renewed"]

    asyncio.run(main())


def test_a_new_certificate_that_cannot_be_used_is_logged_once_and_the_old_one_stays(
    authority: Authority, caplog: pytest.LogCaptureFixture
):
    clock = Clock()
    pair = authority.issue("worker")
    tls = ClientTls(trusting(authority, pair), clock)
    before = tls.context()

    new = authority.issue("renewed")
    replace(new.cert, pair.cert)
    with caplog.at_level(logging.INFO, "statefun.functions"):
        for _ in range(3):
            clock.now_s += 1.0
            assert tls.context() is before
        assert [record.getMessage() for record in caplog.records] == [
            f"client_key '{pair.key}' cannot be used: it does not belong to the certificate in '{pair.cert}' [SF1046]; "
            "what was read before stays in use"
        ]
        replace(new.key, pair.key)
        clock.now_s += 1.0
        assert tls.context() is not before
        assert "TLS files have changed, new connections use them" in caplog.text


def test_files_are_looked_at_once_a_second_at_most(authority: Authority, tmp_path: Path):
    clock = Clock()
    tls = ClientTls(trusting(authority), clock)
    before = tls.context()
    replace(Authority(tmp_path, "other").file, authority.file)

    clock.now_s += 0.9
    assert tls.context() is before
    clock.now_s += 0.2
    assert tls.context() is not before
