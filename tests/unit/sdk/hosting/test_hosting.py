"""Functions under other people's servers: each is asked as its server asks, alone and with a bundle."""

import asyncio
import base64
import io
import sys
import types
from collections.abc import Callable
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import flask
import pytest
from statefun import Context, Message, RequestReplyHandler, StatefulFunctions
from statefun.calls.bundles import BUNDLE
from statefun.hosting import (
    asgi_application,
    azure_function,
    google_function,
    lambda_handler,
    wsgi_application,
)

from tests.support.http.bundles import framed, outcome, split
from tests.unit.sdk.sdk_requests import request

OCTETS = "application/octet-stream"
functions = StatefulFunctions()
gate: list[asyncio.Event] = []


@functions.bind("t/now")
def now(context: Context, message: Message) -> None: ...


@functions.bind("t/soon")
async def soon(context: Context, message: Message) -> None:
    await asyncio.sleep(0)


@functions.bind("t/fail")
def fail(context: Context, message: Message) -> None:
    raise LookupError("no such item")


@functions.bind("t/later")
async def later(context: Context, message: Message) -> None:
    await gate[-1].wait()


Answer = tuple[int, dict[str, str], bytes]
Ask = Callable[[str, bytes, str], Answer]


def asked(name: str) -> bytes:
    return request(target=("t", name, "x"))


def by_asgi(method: str, body: bytes, content_type: str) -> Answer:
    sent: list[dict[str, Any]] = []

    async def main() -> None:
        half = len(body) // 2
        events = [
            {"type": "http.request", "body": body[:half], "more_body": True},
            {"type": "http.request", "body": body[half:]},
        ]

        async def receive() -> dict[str, Any]:
            return events.pop(0)

        async def send(event: dict[str, Any]) -> None:
            sent.append(event)

        headers = [(b"content-type", content_type.encode())]
        scope = {"type": "http", "method": method, "headers": headers}
        await asgi_application(functions)(scope, receive, send)

    asyncio.run(main())
    begin, *parts = sent
    assert not parts[-1].get("more_body")
    headers = {name.decode(): value.decode() for name, value in begin["headers"]}
    return begin["status"], headers, b"".join(part["body"] for part in parts)


def by_wsgi(method: str, body: bytes, content_type: str) -> Answer:
    environ: dict[str, Any] = {"QUERY_STRING": ""}
    setup_testing_defaults(environ)
    environ |= {"REQUEST_METHOD": method, "CONTENT_TYPE": content_type}
    environ |= {"CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}
    began: list[Any] = []
    answer = validator(wsgi_application(RequestReplyHandler(functions)))(
        environ, lambda status, headers, exc_info=None: began.extend([status, headers])
    )
    content = b"".join(answer)
    answer.close()
    return int(began[0][:3]), {name.lower(): value for name, value in began[1]}, content


def by_lambda(format: str) -> Ask:
    def ask(method: str, body: bytes, content_type: str) -> Answer:
        event: dict[str, Any] = {
            "body": base64.b64encode(body).decode(),
            "isBase64Encoded": True,
            "headers": {"Content-Type": content_type},
        }
        if format == "url":
            event["requestContext"] = {"http": {"method": method}}
        else:
            event["httpMethod"] = method
        if format == "balancer":
            del event["headers"]
            event["multiValueHeaders"] = {"content-type": [content_type]}
        answer = lambda_handler(functions)(event, None)
        headers = {name.lower(): value for name, value in answer["headers"].items()}
        assert answer["isBase64Encoded"]
        return answer["statusCode"], headers, base64.b64decode(answer["body"])

    return ask


def by_google(method: str, body: bytes, content_type: str) -> Answer:
    app = flask.Flask("functions")
    with app.test_request_context(method=method, data=body, content_type=content_type):
        answer = flask.make_response(google_function(functions)(flask.request))
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return answer.status_code, headers, answer.get_data()


class HttpResponse:
    """The arguments of the one in azure-functions."""

    def __init__(
        self, body: bytes, *, status_code: int, headers: dict[str, str], mimetype: str
    ) -> None:
        self.answer = status_code, {"content-type": mimetype, **headers}, body


def by_azure(method: str, body: bytes, content_type: str) -> Answer:
    asked = types.SimpleNamespace(
        method=method, headers={"Content-Type": content_type}, get_body=lambda: body
    )
    status, headers, content = azure_function(functions)(asked).answer
    return status, {name.lower(): value for name, value in headers.items()}, content


WAYS: dict[str, Ask] = {
    "asgi": by_asgi,
    "wsgi": by_wsgi,
    "lambda-url": by_lambda("url"),
    "lambda-gateway": by_lambda("gateway"),
    "lambda-balancer": by_lambda("balancer"),
    "google": by_google,
    "azure": by_azure,
}


@pytest.fixture(params=WAYS)
def ask(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Ask:
    package = types.ModuleType("azure.functions")
    package.HttpResponse = HttpResponse  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "azure", types.ModuleType("azure"))
    monkeypatch.setitem(sys.modules, "azure.functions", package)
    return WAYS[request.param]


@pytest.mark.parametrize("name", ["now", "soon"])
def test_a_request_is_answered_and_bundles_are_offered(ask: Ask, name: str):
    status, headers, body = ask("POST", asked(name), OCTETS)

    assert (status, headers["content-type"], body) == (200, OCTETS, b"")
    assert headers["statefun-bundle"] == "1"


def test_a_function_that_fails_is_a_500_with_its_words(ask: Ask):
    status, headers, body = ask("POST", asked("fail"), OCTETS)

    assert (status, body) == (500, b"LookupError: no such item")
    assert headers["content-type"].startswith("text/plain")


def test_a_bundle_is_answered_with_the_outcome_of_each(ask: Ask):
    whole = framed(asked("soon"), asked("fail"), asked("now"))
    status, headers, body = ask("POST", whole, BUNDLE)

    assert (status, headers["content-type"]) == (200, BUNDLE)
    assert set(split(body)) == {
        outcome(0, reply=b""),
        outcome(1, status=500, text="LookupError: no such item"),
        outcome(2, reply=b""),
    }


def test_what_is_no_bundle_is_a_400(ask: Ask):
    assert ask("POST", framed(asked("now"))[:-1], BUNDLE)[0] == 400


def test_another_method_is_a_405(ask: Ask):
    status, headers, body = ask("GET", b"", "")

    assert (status, headers["allow"]) == (405, "POST")
    assert body == b"functions are called with POST, not GET"


def test_with_asgi_a_function_that_waits_holds_up_none_of_its_bundle():
    async def main() -> None:
        gate.append(asyncio.Event())
        sent: list[dict[str, Any]] = []
        whole = framed(asked("later"), asked("now"))

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": whole}

        async def send(event: dict[str, Any]) -> None:
            sent.append(event)
            if event.get("body"):
                gate[-1].set()

        scope = {"type": "http", "method": "POST", "headers": [(b"Content-Type", BUNDLE.encode())]}
        async with asyncio.timeout(5):
            await asgi_application(functions)(scope, receive, send)
        parts = [set(split(event["body"])) for event in sent[1:]]
        assert parts == [{outcome(1, reply=b"")}, {outcome(0, reply=b"")}, set()]

    asyncio.run(main())


def test_with_asgi_a_server_may_begin_and_end_and_a_caller_may_leave():
    async def main() -> None:
        events = [{"type": f"lifespan.{what}"} for what in ("startup", "shutdown")]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return events.pop(0)

        async def send(event: dict[str, Any]) -> None:
            sent.append(event)

        application = asgi_application(functions)
        await application({"type": "lifespan"}, receive, send)
        assert [event["type"] for event in sent] == [
            "lifespan.startup.complete",
            "lifespan.shutdown.complete",
        ]
        events.append({"type": "http.disconnect"})
        await application({"type": "http", "method": "POST", "headers": []}, receive, send)
        assert len(sent) == 2
        with pytest.raises(ValueError, match="over HTTP, not over 'websocket'"):
            await application({"type": "websocket"}, receive, send)

    asyncio.run(main())


def test_with_lambda_a_body_that_came_as_text_is_refused_in_words():
    event = {"httpMethod": "POST", "body": "\ufffd\u0006", "isBase64Encoded": False}
    answer = lambda_handler(functions)(event, None)

    assert answer["statusCode"] == 400
    assert b"binary media types" in base64.b64decode(answer["body"])
