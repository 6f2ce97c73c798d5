"""What keeps a Kafka client from working, in words for the person who can mend it; each said once."""

import socket
import ssl
from typing import TypeGuard

from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    LeaderNotAvailableError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnknownTopicOrPartitionError,
    UnsupportedCodecError,
    UnsupportedSaslMechanismError,
)

from statefun_runtime.connectors.kafka.client.clients import KafkaClients
from statefun_runtime.connectors.kafka.client.protocols import Arguments
from statefun_runtime.connectors.kafka.client.tokens import TokenRefused
from statefun_runtime.errors import UnavailableError

MISSING = (UnknownTopicOrPartitionError, LeaderNotAvailableError)
DENIED = (
    TopicAuthorizationFailedError,
    GroupAuthorizationFailedError,
    ClusterAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
_LOGIN_CODE, _TLS_CODE, _RIGHTS_CODE = "SF3017", "SF3018", "SF3019"
_LOGIN = (AuthenticationFailedError, SaslAuthenticationFailed, IllegalSaslStateError)


async def explain(error: BaseException, clients: KafkaClients, arguments: Arguments) -> str:
    """Return what went wrong in words; aiokafka does not tell why it cannot connect, so that is tried once more."""
    if isinstance(error, KafkaConnectionError | OSError):
        trouble = await clients.find_trouble(arguments)
        if trouble is not None:
            return words(trouble, arguments)
    return words(error, arguments)


def is_refusal(error: BaseException | None) -> TypeGuard[BaseException]:
    """Return whether one of the two sides refuses the other: for its login, its certificate or its rights."""
    return isinstance(
        error, (*_LOGIN, *DENIED, TokenRefused, UnsupportedSaslMechanismError, ssl.SSLError)
    )


def words(error: BaseException, arguments: Arguments) -> str:
    """Return an error in words."""
    if isinstance(error, UnavailableError):
        return error.message
    servers = f"broker {arguments['bootstrap_servers']}"
    for told, code in (
        (_of_login(error, arguments), _LOGIN_CODE),
        (_of_tls(error), _TLS_CODE),
        (_of_rights(error), _RIGHTS_CODE),
    ):
        if told is not None:
            return f"{servers}: {told} ({code})"
    if isinstance(error, UnsupportedCodecError):
        return (
            "its records are compressed with a codec that is not installed: "
            "pip install 'statefun-runtime[kafka-compression]'"
        )
    if isinstance(error, socket.gaierror):
        return f"{servers}: its name cannot be resolved"
    if isinstance(error, TimeoutError):
        return f"{servers}: no answer in time"
    if isinstance(error, ConnectionError) and error.strerror is None:
        return f"{servers}: it cut the connection{_maybe(arguments)}"
    if isinstance(error, KafkaConnectionError) and str(error).endswith("closed"):
        return f"{servers}: it closed the connection at once{_maybe(arguments)}"
    return f"{servers}: {str(error) or type(error).__name__}"


def _maybe(arguments: Arguments) -> str:
    protocol = arguments.get("security_protocol", "PLAINTEXT")
    hint = f"; does its listener speak security.protocol {protocol}"
    return f"{hint}, and want no certificate of this client?" if protocol == "SSL" else f"{hint}?"


def _of_login(error: BaseException, arguments: Arguments) -> str | None:
    if isinstance(error, TokenRefused):
        return f"no token: {error.args[0]}"
    if isinstance(error, UnsupportedSaslMechanismError):
        return f"it does not offer the mechanism {arguments.get('sasl_mechanism')}"
    if isinstance(error, _LOGIN) or (type(error) is KafkaError and "uthentication" in str(error)):
        mechanism = arguments.get("sasl_mechanism")
        user = arguments.get("sasl_plain_username")
        whom = f" of user '{user}'" if user else ""
        reason = str(error.args[0]) if error.args and error.args[0] else "no reason is given"
        return f"it refuses the login{whom} ({mechanism}): {reason}"
    return None


def _of_tls(error: BaseException) -> str | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message.rstrip('.')}"
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or str(error)).replace("_", " ").lower()
        if "wrong version" in reason or "record layer" in reason:
            return "its listener does not speak TLS"
        if "alert" in reason:
            return f"it refuses the TLS connection: {reason}; does it want a certificate of this client?"
        return f"TLS fails: {reason}"
    return None


def _of_rights(error: BaseException) -> str | None:
    subject = error.args[0] if error.args else ""
    if isinstance(subject, set | frozenset):
        subject = ", ".join(sorted(map(str, subject)))
    match error:
        case TopicAuthorizationFailedError():
            return f"not authorised for topic {subject}"
        case GroupAuthorizationFailedError():
            return f"not authorised for consumer group {subject}"
        case TransactionalIdAuthorizationFailed():
            return f"not authorised for transactional id {subject}"
        case ClusterAuthorizationFailedError():
            return "not authorised for the cluster"
    return None
