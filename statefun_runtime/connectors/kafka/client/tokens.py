"""Tokens for OAUTHBEARER: fetched from an endpoint with client credentials, and kept while they are good."""

import asyncio
import base64
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaError

from statefun_runtime.adapters.off_loop import in_a_thread
from statefun_runtime.connectors.kafka.settings.security import TokenLogin

_LIMIT_S = 10.0
_ANSWER_BYTES_MAX = 1024 * 1024
_GOOD_SHARE = 0.8
_UNSIGNED_S = 3600
_UNTOLD_S = 60.0


class TokenRefused(KafkaError):  # type: ignore[misc]
    """No token could be had; the text says why, and holds no secret."""


class EndpointTokens(AbstractTokenProvider):  # type: ignore[misc]
    """Gives every new connection a token; a new one is fetched, on a thread, after 80 % of the old one's time."""

    def __init__(
        self,
        login: TokenLogin,
        context: ssl.SSLContext,
        *,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._login = login
        self._context = context
        self._now_s = now_s
        self._token = ""
        self._good_until_s = 0.0
        self._fetching = asyncio.Lock()

    async def token(self) -> str:
        """Return a token; raise TokenRefused."""
        async with self._fetching:
            if not self._token or self._now_s() >= self._good_until_s:
                token, lasts_s = await in_a_thread(self._fetch)
                self._token = token
                self._good_until_s = self._now_s() + lasts_s * _GOOD_SHARE
            return self._token

    def extensions(self) -> dict[str, str]:
        """Return what `extension_…` options add."""
        return dict(self._login.extensions)

    def _fetch(self) -> tuple[str, float]:
        login = self._login
        form = {"grant_type": "client_credentials"}
        if login.scope:
            form["scope"] = login.scope
        credentials = f"{login.client_id}:{login.client_secret}".encode()
        request = urllib.request.Request(
            login.url,
            urllib.parse.urlencode(form).encode(),
            {
                "Authorization": f"Basic {base64.b64encode(credentials).decode()}",
                "Accept": "application/json",
            },
        )
        context = self._context if login.url.startswith("https:") else None
        try:
            with urllib.request.urlopen(request, timeout=_LIMIT_S, context=context) as answer:
                return _read_answer(login.url, answer.read(_ANSWER_BYTES_MAX))
        except urllib.error.HTTPError as error:
            told = _error_of(error.read(_ANSWER_BYTES_MAX))
            raise TokenRefused(
                f"token endpoint {login.url} answers {error.code} for client '{login.client_id}'{told}"
            ) from None
        except (OSError, ValueError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise TokenRefused(f"token endpoint {login.url} cannot be asked: {reason}") from None


def _read_answer(url: str, content: bytes) -> tuple[str, float]:
    try:
        answer = json.loads(content)
        token = answer.get("access_token") or answer.get("id_token")
        lasts_s = float(answer.get("expires_in", _UNTOLD_S))
    except (ValueError, TypeError, AttributeError):
        token, lasts_s = None, 0.0
    if not isinstance(token, str) or not token:
        raise TokenRefused(f"token endpoint {url} answers without an access_token")
    return token, lasts_s


def _error_of(content: bytes) -> str:
    """Return what RFC 6749 says an error looks like, if it looks like that."""
    try:
        answer = json.loads(content)
        parts = [str(answer[name]) for name in ("error", "error_description") if answer.get(name)]
    except (ValueError, TypeError, AttributeError):
        return ""
    return f": {': '.join(parts)}" if parts else ""


class UnsignedTokens(AbstractTokenProvider):  # type: ignore[misc]
    """Makes tokens that nobody has signed, as Kafka's own client does for brokers under development."""

    def __init__(
        self, claims: Mapping[str, str], *, now_s: Callable[[], float] = time.time
    ) -> None:
        self._claims = claims
        self._now_s = now_s

    async def token(self) -> str:
        """Return a token that is good for an hour."""
        now_s = int(self._now_s())
        claims = {**self._claims, "iat": now_s, "exp": now_s + _UNSIGNED_S}
        return f"{_part({'alg': 'none'})}.{_part(claims)}."

    def extensions(self) -> dict[str, str]:
        """There are none."""
        return {}


def _part(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
