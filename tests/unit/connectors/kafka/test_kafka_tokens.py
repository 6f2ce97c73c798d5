"""Tokens for OAUTHBEARER, from an endpoint that the test plays."""

import asyncio
import base64
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from statefun_runtime.connectors.kafka.client.tokens import (
    EndpointTokens,
    TokenRefused,
    UnsignedTokens,
)
from statefun_runtime.connectors.kafka.settings.security import TokenLogin


class Endpoint(ThreadingHTTPServer):
    """Answers as it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str]] = []
        self.status = 200
        self.answer: object = {"access_token": "one", "expires_in": 100}
        self.url = f"http://127.0.0.1:{self.server_port}/token"


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append((self.headers["Authorization"], body))
        content = self.server.answer
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nobody wants to know."""


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def tokens(url: str, now_s: list[float] | None = None, scope: str | None = None) -> EndpointTokens:
    login = TokenLogin(url, "me", "s3cret", scope, (("logicalCluster", "lkc-1"),))
    clock = now_s or [0.0]
    return EndpointTokens(login, ssl.create_default_context(), now_s=lambda: clock[0])


def test_a_token_is_asked_for_with_client_credentials(endpoint: Endpoint):
    made = tokens(endpoint.url, scope="kafka all")

    assert asyncio.run(made.token()) == "one"
    basic = base64.b64encode(b"me:s3cret").decode()
    assert endpoint.asked == [(f"Basic {basic}", "grant_type=client_credentials&scope=kafka+all")]
    assert made.extensions() == {"logicalCluster": "lkc-1"}


def test_a_token_is_kept_until_most_of_its_time_has_passed(endpoint: Endpoint):
    async def main() -> None:
        now_s = [0.0]
        made = tokens(endpoint.url, now_s)
        assert await made.token() == "one"
        endpoint.answer = {"access_token": "two", "expires_in": 100}
        now_s[0] = 79.0
        assert await made.token() == "one"
        now_s[0] = 80.0
        assert await made.token() == "two"
        assert len(endpoint.asked) == 2

    asyncio.run(main())


def test_several_connections_at_once_ask_once(endpoint: Endpoint):
    async def main() -> None:
        made = tokens(endpoint.url)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(5):
                tasks.create_task(made.token())
        assert len(endpoint.asked) == 1

    asyncio.run(main())


def refused(url: str) -> str:
    with pytest.raises(TokenRefused) as error:
        asyncio.run(tokens(url).token())
    return str(error.value.args[0])


def test_a_refusal_says_what_the_endpoint_says_and_no_secret(endpoint: Endpoint):
    endpoint.status = 401
    endpoint.answer = {"error": "invalid_client", "error_description": "unknown client"}
    assert refused(endpoint.url) == (
        f"token endpoint {endpoint.url} answers 401 for client 'me': invalid_client: unknown client"
    )
    endpoint.answer = b"<html>s3cret</html>"
    assert refused(endpoint.url) == f"token endpoint {endpoint.url} answers 401 for client 'me'"


@pytest.mark.parametrize("answer", [{}, [], {"access_token": 7}, b"no json", {"access_token": ""}])
def test_an_answer_without_a_token_is_a_refusal(endpoint: Endpoint, answer: object):
    endpoint.answer = answer
    assert refused(endpoint.url) == (
        f"token endpoint {endpoint.url} answers without an access_token"
    )


def test_an_endpoint_that_is_away_is_a_refusal():
    assert refused("http://127.0.0.1:1/token") == (
        "token endpoint http://127.0.0.1:1/token cannot be asked: [Errno 111] Connection refused"
    )


def test_an_unsigned_token_has_the_claims_and_an_end():
    token = asyncio.run(UnsignedTokens({"sub": "me"}, now_s=lambda: 1000.0).token())

    head, claims, signature = token.split(".")
    assert signature == ""
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "none"}
    assert json.loads(base64.urlsafe_b64decode(claims + "==")) == {
        "sub": "me",
        "iat": 1000,
        "exp": 4600,
    }
