"""Requests signed as AWS wants them (Signature Version 4), for functions behind its gateways."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from statefun_runtime.core.module.specs import SigV4Spec
from statefun_runtime.errors import ConfigError

log = logging.getLogger("statefun.functions")

_REFRESH_EVERY_S = 60.0


class Signer(Protocol):
    """Makes the headers that a request needs besides the fixed ones."""

    def sign(self, method: str, url: str, body: bytes) -> bytes:
        """Return header lines for this request, valid for some minutes."""
        ...


class AwsSigner:
    """Signs with the credentials that are found where AWS tools look: environment, files, container, machine.

    They are asked for once a minute off the loop, which is how those that expire are renewed in time.
    """

    def __init__(
        self,
        spec: SigV4Spec,
        credentials: Any | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._spec = spec
        self._now = now
        self._credentials = credentials or _find_credentials()
        self._is_refreshing = False
        self._has_failed = False
        self._auth = self._make_auth()

    def _make_auth(self) -> Any:
        from botocore.auth import SigV4Auth

        frozen = self._credentials.get_frozen_credentials()
        return SigV4Auth(frozen, self._spec.service, self._spec.region)

    def start(self) -> None:
        """Have the credentials renewed from now on, as long as the loop runs."""
        if not self._is_refreshing:
            self._is_refreshing = True
            self._wait()

    def _wait(self) -> None:
        asyncio.get_running_loop().call_later(_REFRESH_EVERY_S, self._ring)

    def _ring(self) -> None:
        asyncio.get_running_loop().run_in_executor(None, self.refresh)
        self._wait()

    def refresh(self) -> None:
        """Take the credentials that are good now; may block, and is called on any thread."""
        try:
            self._auth = self._make_auth()
        # Each source of credentials fails in its own way, and the old ones may still be good.
        except Exception as error:  # noqa: BLE001
            if not self._has_failed:
                log.error(
                    "AWS credentials cannot be renewed, the old ones stay in use: %s",
                    type(error).__name__,
                )
            self._has_failed = True
        else:
            self._has_failed = False

    def sign(self, method: str, url: str, body: bytes) -> bytes:
        """Return the lines `x-amz-date`, `authorization` and, with temporary credentials, their token."""
        from botocore.auth import SIGV4_TIMESTAMP
        from botocore.awsrequest import AWSRequest

        auth = self._auth
        request = AWSRequest(method=method, url=url, data=body)
        stamp = self._now().strftime(SIGV4_TIMESTAMP)
        request.context["timestamp"] = stamp
        headers = {"X-Amz-Date": stamp}
        if auth.credentials.token:
            headers["X-Amz-Security-Token"] = auth.credentials.token
        for name, value in headers.items():
            request.headers[name] = value
        text = auth.string_to_sign(request, auth.canonical_request(request))
        names = auth.signed_headers(auth.headers_to_sign(request))
        headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, "
            f"SignedHeaders={names}, Signature={auth.signature(text, request)}"
        )
        return "".join(f"{name.lower()}: {value}\r\n" for name, value in headers.items()).encode()


def _find_credentials() -> Any:
    try:
        from botocore.session import Session
    except ImportError as error:
        raise ConfigError(
            "auth aws-sigv4 needs the package botocore, which is not installed",
            code="SF1056",
            hint="pip install 'statefun-runtime[aws]'",
        ) from error
    credentials = Session().get_credentials()
    if credentials is None:
        raise ConfigError(
            "auth aws-sigv4 needs AWS credentials, and there are none",
            code="SF1057",
            hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role",
        )
    return credentials
