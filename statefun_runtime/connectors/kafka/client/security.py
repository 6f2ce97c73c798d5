"""SASL and TLS of Kafka clients: what settings/security.py has read, as arguments of aiokafka."""

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import assert_never

from statefun_runtime.connectors.kafka.client.protocols import Arguments
from statefun_runtime.connectors.kafka.client.stores import StoreUnusable, read_store
from statefun_runtime.connectors.kafka.client.tokens import EndpointTokens, UnsignedTokens
from statefun_runtime.connectors.kafka.settings.security import (
    PasswordLogin,
    SaslLogin,
    Security,
    Store,
    Tls,
    TokenLogin,
    UnsecuredLogin,
)
from statefun_runtime.errors import ConfigError

_VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


def security_arguments(security: Security, owner: str) -> Arguments:
    """Return the arguments that every client of an ingress or egress gets; raise ConfigError if a file is unusable."""
    arguments: Arguments = {"security_protocol": security.protocol}
    if security.tls is not None:
        arguments["ssl_context"] = tls_context(security.tls, owner)
    if security.login is not None:
        arguments |= _login_arguments(security.login, owner)
    return arguments


def _login_arguments(login: SaslLogin, owner: str) -> Arguments:
    match login:
        case PasswordLogin(mechanism, username, password):
            return {
                "sasl_mechanism": mechanism,
                "sasl_plain_username": username,
                "sasl_plain_password": password,
            }
        case TokenLogin():
            context = tls_context(Tls(trust=login.trust), owner)
            tokens: EndpointTokens | UnsignedTokens = EndpointTokens(login, context)
        case UnsecuredLogin(claims):
            tokens = UnsignedTokens(dict(claims))
        case _:
            assert_never(login)
    return {"sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_provider": tokens}


def tls_context(tls: Tls, owner: str) -> ssl.SSLContext:
    """Return the context of a client; raise ConfigError if it cannot be made."""
    trusted = None if tls.trust is None else _certificates(tls.trust, owner)
    try:
        context = ssl.create_default_context(cadata=trusted)
    except ssl.SSLError as error:
        raise _unusable(owner, "truststore", tls.trust, _reason(error)) from error
    # As Java: whatever is in the trust store is trusted, whoever signed it and however old its form.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = tls.is_host_checked
    if tls.versions:
        versions = sorted(_VERSIONS[name] for name in tls.versions)
        context.minimum_version, context.maximum_version = versions[0], versions[-1]
    if tls.cipher_suites:
        _limit_ciphers(context, tls.cipher_suites, owner)
    if tls.identity is not None:
        _show_identity(context, tls.identity, owner)
    return context


def _certificates(store: Store, owner: str) -> str:
    try:
        return read_store(store).certificates
    except StoreUnusable as error:
        raise _unusable(owner, "truststore", store, str(error)) from error


def _show_identity(context: ssl.SSLContext, store: Store, owner: str) -> None:
    try:
        content = read_store(store)
        if not content.key:
            raise StoreUnusable("it holds no private key")
    except StoreUnusable as error:
        raise _unusable(owner, "keystore", store, str(error)) from error
    try:
        with _as_file(content.certificates + content.key) as path:
            # Without any password OpenSSL would ask for one on the terminal.
            context.load_cert_chain(path, password=content.key_password or "")
    except ssl.SSLError as error:
        reason = _reason(error)
        if "PRIVATE KEY" in content.key and "ENCRYPTED" in content.key:
            reason = "the password of its key ('ssl.key.password') is missing or wrong"
        raise _unusable(owner, "keystore", store, reason) from error


@contextmanager
def _as_file(text: str) -> Iterator[str]:
    """The ssl module reads keys from files only: here is one in memory, or where there is no such thing, a private one."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("identity", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(text)
        file.flush()
        yield file.name


def _limit_ciphers(context: ssl.SSLContext, suites: tuple[str, ...], owner: str) -> None:
    # Those of TLS 1.3 have names without WITH, and cannot be chosen from.
    names = [_openssl_name(suite) for suite in suites if "_WITH_" in suite or "-" in suite]
    if not names:
        return
    try:
        context.set_ciphers(":".join(names))
    except ssl.SSLError as error:
        raise ConfigError(
            f"{owner}: none of the cipher suites {', '.join(suites)} is known",
            code="SF1034",
            hint="write them like TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, or leave 'ssl.cipher.suites' out",
        ) from error


def _openssl_name(suite: str) -> str:
    """TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 is ECDHE-RSA-AES128-GCM-SHA256 there."""
    exchange, _, cipher = suite.removeprefix("TLS_").partition("_WITH_")
    if not cipher:
        return suite
    cipher = cipher.replace("AES_", "AES").replace("_CBC", "").replace("_", "-")
    cipher = cipher.replace("CHACHA20-POLY1305-SHA256", "CHACHA20-POLY1305")
    return cipher if exchange == "RSA" else f"{exchange.replace('_', '-')}-{cipher}"


def _unusable(owner: str, kind: str, store: Store | None, reason: str) -> ConfigError:
    where = f" {store.location}" if store is not None and store.location else ""
    return ConfigError(
        f"{owner}: the {kind}{where} cannot be used: {reason}",
        code="SF1033",
        hint=f"see the properties 'ssl.{kind}.…'; "
        "any store of Java becomes PKCS12 with: keytool -importkeystore -srckeystore OLD -destkeystore NEW.p12 -deststoretype PKCS12",
    )


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()
