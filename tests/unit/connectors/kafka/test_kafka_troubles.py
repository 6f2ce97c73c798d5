"""What a person reads when a Kafka client does not work."""

import asyncio
import logging
import socket
import ssl
from typing import Any

import pytest
from aiokafka import errors

from statefun_runtime.connectors.complaint import Complaint
from statefun_runtime.connectors.kafka.client.inside import why_it_failed
from statefun_runtime.connectors.kafka.client.tokens import TokenRefused
from statefun_runtime.connectors.kafka.client.troubles import explain, words
from statefun_runtime.errors import UnavailableError

PLAIN: dict[str, Any] = {"bootstrap_servers": "k:9092"}
SECURE = PLAIN | {
    "security_protocol": "SASL_SSL",
    "sasl_mechanism": "PLAIN",
    "sasl_plain_username": "alice",
    "sasl_plain_password": "hidden",
}


def tls(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] (_ssl.c:1)")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UnavailableError("a commit got no answer"), "a commit got no answer"),
        (
            errors.SaslAuthenticationFailed("Authentication failed"),
            "broker k:9092: it refuses the login of user 'alice' (PLAIN): Authentication failed (SF3017)",
        ),
        (
            errors.UnsupportedSaslMechanismError("x"),
            "broker k:9092: it does not offer the mechanism PLAIN (SF3017)",
        ),
        (
            TokenRefused("token endpoint http://x answers 401 for client 'me'"),
            "broker k:9092: no token: token endpoint http://x answers 401 for client 'me' (SF3017)",
        ),
        (tls("WRONG_VERSION_NUMBER"), "broker k:9092: its listener does not speak TLS (SF3018)"),
        (
            tls("TLSV13_ALERT_CERTIFICATE_REQUIRED"),
            "broker k:9092: it refuses the TLS connection: tlsv13 alert certificate required; "
            "does it want a certificate of this client? (SF3018)",
        ),
        (tls("NO_CIPHERS"), "broker k:9092: TLS fails: no ciphers (SF3018)"),
        (
            errors.TopicAuthorizationFailedError({"b", "a"}),
            "broker k:9092: not authorised for topic a, b (SF3019)",
        ),
        (
            errors.TransactionalIdAuthorizationFailed("statefun-x"),
            "broker k:9092: not authorised for transactional id statefun-x (SF3019)",
        ),
        (
            errors.ClusterAuthorizationFailedError(),
            "broker k:9092: not authorised for the cluster (SF3019)",
        ),
        (
            errors.UnsupportedCodecError("x"),
            "its records are compressed with a codec that is not installed: "
            "pip install 'statefun-runtime[kafka-compression]'",
        ),
        (socket.gaierror(-2, "x"), "broker k:9092: its name cannot be resolved"),
        (TimeoutError(), "broker k:9092: no answer in time"),
        (
            ConnectionResetError(),
            "broker k:9092: it cut the connection; does its listener speak security.protocol SASL_SSL?",
        ),
        (
            errors.KafkaConnectionError("Connection at k:9092 closed"),
            "broker k:9092: it closed the connection at once; "
            "does its listener speak security.protocol SASL_SSL?",
        ),
        (errors.KafkaTimeoutError(), "broker k:9092: KafkaTimeoutError"),
    ],
)
def test_each_trouble_has_its_words_and_none_its_secret(error: Exception, expected: str):
    assert words(error, SECURE) == expected
    assert "hidden" not in expected


class Clients:
    """Clients that know why they cannot connect, or do not."""

    def __init__(self, trouble: Exception | None) -> None:
        self.trouble = trouble

    async def find_trouble(self, arguments: dict[str, Any]) -> Exception | None:
        return self.trouble


def explained(error: Exception, trouble: Exception | None) -> str:
    return asyncio.run(explain(error, Clients(trouble), PLAIN))  # type: ignore[arg-type]


def test_a_client_that_cannot_connect_is_asked_why():
    blind = errors.KafkaConnectionError("Unable to bootstrap")
    assert explained(blind, TimeoutError()) == "broker k:9092: no answer in time"
    assert explained(blind, None) == "broker k:9092: KafkaConnectionError: Unable to bootstrap"
    denied = errors.TopicAuthorizationFailedError("t")
    assert explained(denied, TimeoutError()) == "broker k:9092: not authorised for topic t (SF3019)"


def test_a_trouble_is_said_once_until_it_is_over(caplog: pytest.LogCaptureFixture):
    complaint = Complaint(logging.getLogger("test"), "egress t/out")
    for what in ("waits: a", "waits: b", "waits: a"):
        complaint.say(what)
    complaint.over()
    complaint.say("waits: a")

    said = [record.getMessage() for record in caplog.records]
    assert said == ["egress t/out waits: a", "egress t/out waits: b", "egress t/out waits: a"]


def test_a_producer_that_is_in_no_transaction_any_more_is_asked_why():
    async def main() -> None:
        cause = errors.TopicAuthorizationFailedError({"t"})
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter.set_exception(cause)
        producer = type("P", (), {"_txn_manager": type("T", (), {"_transaction_waiter": waiter})})
        blind = errors.IllegalOperation("Can't send messages while not in transaction")
        assert why_it_failed(producer, blind) is cause
        assert why_it_failed(None, blind) is blind
        assert why_it_failed(producer, cause) is cause

    asyncio.run(main())
