"""TLS for https endpoints: authorities and certificates from PEM files, read again when they are replaced."""

import logging
import secrets
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile

from statefun_runtime.adapters.http.changing_files import ChangingFiles
from statefun_runtime.core.module.specs import TlsSpec
from statefun_runtime.errors import ConfigError

log = logging.getLogger("statefun.functions")

_KEY_IS_FREE = ""


class ClientTls:
    """What new connections of one endpoint trust, and whom they say they are.

    Raises ConfigError at once if a file cannot be used. A file that is replaced later counts for connections that
    are opened after that; if it cannot be used, this is logged once and all stays as it was.
    """

    def __init__(self, spec: TlsSpec, now_s: Callable[[], float] = time.monotonic) -> None:
        paths = (spec.trust_cacerts, spec.client_cert, spec.client_key, spec.client_key_password)
        self._spec = spec
        self._files = ChangingFiles([path for path in paths if path], now_s)
        self._context = client_context(spec)

    def context(self) -> ssl.SSLContext:
        """Return the context for a connection that is opened now."""
        if self._files.have_changed():
            try:
                self._context = client_context(self._spec)
            except ConfigError as error:
                log.error("%s; what was read before stays in use", error.line)
            else:
                log.info("TLS files have changed, new connections use them: %s", self._spec)
        return self._context


def client_context(spec: TlsSpec) -> ssl.SSLContext:
    """Return what its files say now; raise ConfigError if one cannot be used."""
    authorities = spec.trust_cacerts
    if authorities is None:
        context = ssl.create_default_context()
    else:
        _read("trust_cacerts", authorities, holds="CERTIFICATE")
        try:
            context = ssl.create_default_context(cafile=authorities)
        except ssl.SSLError as error:
            raise _unusable("trust_cacerts", authorities, _reason(error)) from error
    if spec.client_cert and spec.client_key:
        _load_pair(context, spec.client_cert, spec.client_key, spec.client_key_password)
    return context


def _load_pair(context: ssl.SSLContext, cert: str, key: str, password_file: str | None) -> None:
    _read("client_cert", cert, holds="CERTIFICATE")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cert)
    except ssl.SSLError as error:
        raise _unusable("client_cert", cert, _reason(error)) from error
    content = _read("client_key", key, holds="PRIVATE KEY")
    password = _KEY_IS_FREE.encode()
    if password_file is not None:
        # An editor's newline at the end is not meant.
        password = _read("client_key_password", password_file).rstrip(b"\r\n")
    elif b"ENCRYPTED" in content:
        raise _unusable(
            "client_key",
            key,
            "it is encrypted",
            hint="name the file that holds its password: client_key_password",
        )
    try:
        context.load_cert_chain(cert, key, password)
    except (ssl.SSLError, ValueError) as error:
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            text = f"it does not belong to the certificate in {cert!r}"
            raise _unusable("client_key", key, text) from error
        if b"ENCRYPTED" not in content:
            raise _unusable("client_key", key, _reason(error)) from error
        _load_decrypted(context, cert, key, content, password)


def _load_decrypted(
    context: ssl.SSLContext, cert: str, key: str, content: bytes, password: bytes
) -> None:
    """Load a key whose cipher OpenSSL refuses; it is on disk for a moment only, under a password nobody knows."""
    try:
        from cryptography.hazmat.primitives import serialization
    except ImportError as error:
        raise _unusable(
            "client_key",
            key,
            "its password does not open it, or OpenSSL refuses its cipher",
            hint="check the password; for old ciphers: pip install 'statefun-runtime[tls]'",
        ) from error
    try:
        opened = serialization.load_pem_private_key(content, password)
    except (ValueError, TypeError) as error:
        text = "its password does not open it, or its cipher is unknown"
        raise _unusable("client_key", key, text, hint=f"try: openssl pkey -in {key}") from error
    once = secrets.token_hex(32).encode()
    with NamedTemporaryFile(suffix=".pem") as file:
        file.write(
            opened.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(once),
            )
        )
        file.flush()
        try:
            context.load_cert_chain(cert, file.name, once)
        except ssl.SSLError as error:
            if error.reason != "KEY_VALUES_MISMATCH":
                raise _unusable("client_key", key, _reason(error)) from error
            text = f"it does not belong to the certificate in {cert!r}"
            raise _unusable("client_key", key, text) from error


def _read(field: str, path: str, *, holds: str = "") -> bytes:
    """Return a file's content; `holds` is what must be in it, as PEM calls it."""
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise _unusable(
            field, path, _reason(error), hint="check the path and who may read it"
        ) from error
    if holds and f"{holds}-----".encode() not in content:
        noun = "no certificate" if holds == "CERTIFICATE" else "no key"
        text = f"it holds {noun} in PEM form"
        raise _unusable(field, path, text, hint=f"a PEM file has a line -----BEGIN {holds}-----")
    return content


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "").replace("_", " ").lower()
        return reason or "OpenSSL cannot read it"
    text = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    return f"{text[:1].lower()}{text[1:]}"


def _unusable(field: str, path: str, reason: str, *, hint: str | None = None) -> ConfigError:
    return ConfigError(f"{field} {path!r} cannot be used: {reason}", code="SF1046", hint=hint)
