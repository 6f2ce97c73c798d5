"""Signatures for AWS: against the vectors that AWS publishes, and in requests of both clients."""

import asyncio
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from statefun_runtime.adapters.http.client import HttpClient
from statefun_runtime.adapters.http.httpx_client import HttpxClient
from statefun_runtime.adapters.http.sigv4 import AwsSigner
from statefun_runtime.core.module.specs import SigV4Spec
from statefun_runtime.errors import ConfigError
from tests.support.http.clients import make_lean, make_okhttp
from tests.support.http.raw_http import RawRequest, RawServer, response
from tests.support.http.replies import Caller

SPEC = SigV4Spec("us-east-1", "service")


class Frozen(NamedTuple):
    access_key: str
    secret_key: str
    token: str | None


class Credentials:
    """Credentials that change when they are asked for after `renew`."""

    def __init__(self, token: str | None = None) -> None:
        self.frozen = Frozen("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)

    def get_frozen_credentials(self) -> Frozen:
        return self.frozen


def at_the_time_of_the_vectors() -> datetime:
    return datetime(2015, 8, 30, 12, 36, 0, tzinfo=UTC)


def signer(token: str | None = None) -> AwsSigner:
    return AwsSigner(SPEC, Credentials(token), at_the_time_of_the_vectors)


@pytest.mark.parametrize(
    ("method", "url", "signature"),
    [
        (
            "POST",
            "https://example.amazonaws.com/",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "GET",
            "https://example.amazonaws.com/",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
    ],
)
def test_a_signature_is_that_of_the_published_vectors(method: str, url: str, signature: str):
    assert signer().sign(method, url, b"").decode() == (
        "x-amz-date: 20150830T123600Z\r\n"
        "authorization: AWS4-HMAC-SHA256 "
        "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={signature}\r\n"
    )


def test_a_token_is_sent_and_signed():
    lines = signer("session").sign("POST", "https://example.amazonaws.com/", b"body").decode()

    assert "\r\nx-amz-security-token: session\r\n" in lines
    assert "SignedHeaders=host;x-amz-date;x-amz-security-token, " in lines


def test_credentials_that_were_renewed_sign_from_then_on():
    credentials = Credentials()
    signing = AwsSigner(SPEC, credentials, at_the_time_of_the_vectors)
    credentials.frozen = Frozen("AKIDNEW", "new", None)

    assert b"Credential=AKIDEXAMPLE/" in signing.sign("POST", "https://x/", b"")
    signing.refresh()
    assert b"Credential=AKIDNEW/" in signing.sign("POST", "https://x/", b"")


class Away(Credentials):
    is_away = False

    def get_frozen_credentials(self) -> Frozen:
        if self.is_away:
            raise OSError("secret")
        return super().get_frozen_credentials()


def test_credentials_that_cannot_be_renewed_are_logged_once_and_stay(
    caplog: pytest.LogCaptureFixture,
):
    credentials = Away()
    signing = AwsSigner(SPEC, credentials, at_the_time_of_the_vectors)
    credentials.is_away = True

    for _ in range(3):
        signing.refresh()

    assert [record.getMessage() for record in caplog.records] == [
        "AWS credentials cannot be renewed, the old ones stay in use: OSError"
    ]
    assert b"Credential=AKIDEXAMPLE/" in signing.sign("POST", "https://x/", b"")


def test_an_endpoint_that_signs_needs_credentials(monkeypatch: pytest.MonkeyPatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(ConfigError) as raised:
        AwsSigner(SPEC)

    assert str(raised.value) == (
        "SF1057: auth aws-sigv4 needs AWS credentials, and there are none\n"
        "hint: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role"
    )


def test_credentials_are_found_in_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    assert b"Credential=AKIDENV/" in AwsSigner(SPEC).sign("POST", "https://x/", b"")


def test_without_the_package_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "botocore.session", None)

    with pytest.raises(ConfigError) as raised:
        AwsSigner(SPEC)

    assert str(raised.value) == (
        "SF1056: auth aws-sigv4 needs the package botocore, which is not installed\n"
        "hint: pip install 'statefun-runtime[aws]'"
    )


def expected_signature(request: RawRequest) -> str:
    """Return what AWS would compute of a request that came in."""
    auth = SigV4Auth(Credentials().frozen, SPEC.service, SPEC.region)
    asked = AWSRequest(
        request.method, f"http://{request.headers['host']}{request.target}", data=request.body
    )
    asked.headers["Host"] = request.headers["host"]
    asked.headers["X-Amz-Date"] = request.headers["x-amz-date"]
    asked.context["timestamp"] = request.headers["x-amz-date"]
    text = auth.string_to_sign(asked, auth.canonical_request(asked))
    return str(auth.signature(text, asked))


@pytest.mark.parametrize("kind", ["lean", "okhttp"])
def test_each_request_is_signed_for_its_own_body(kind: str):
    async def main() -> None:
        async with RawServer(lambda _: response(b"reply")) as server, asyncio.TaskGroup() as tasks:
            client = make(kind, server.url("/a/b?c=d"), tasks)
            caller = Caller(client)
            assert await caller.call(b"one") == b"reply"
            assert await caller.call(b"other") == b"reply"
            client.close()

        assert [request.body for request in server.requests] == [b"one", b"other"]
        for request in server.requests:
            assert request.headers["authorization"].endswith(
                f"Signature={expected_signature(request)}"
            )

    asyncio.run(main())


def make(kind: str, url: str, tasks: asyncio.TaskGroup) -> HttpClient | HttpxClient:
    if kind == "okhttp":
        return make_okhttp(url, tasks, signer=signer())
    return make_lean(url, tasks, signer=signer())
