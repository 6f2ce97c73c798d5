"""TLS for https endpoints: PEM files as a module names them."""

import ssl
from pathlib import Path
from urllib.parse import unquote, urlsplit

from statefun_runtime.core.specs import TlsSpec
from statefun_runtime.errors import ConfigError


def client_context(spec: TlsSpec | None) -> ssl.SSLContext:
    """Return the context for one endpoint; raise ConfigError if a file cannot be used."""
    spec = spec or TlsSpec()
    location = ""
    try:
        location = spec.trust_cacerts or ""
        context = ssl.create_default_context(cafile=pem_path(location) if location else None)
        if spec.client_cert and spec.client_key:
            password = None
            if spec.client_key_password:
                location = spec.client_key_password
                password = Path(pem_path(location)).read_text()
            location = spec.client_cert
            context.load_cert_chain(pem_path(spec.client_cert), pem_path(spec.client_key), password)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"TLS file {location} cannot be used: {error}", code="SF1046") from error
    return context


def pem_path(location: str) -> str:
    """Read `classpath:name`, a path or a `file:` URL; the class path is the current folder here."""
    if location.startswith("file:"):
        return unquote(urlsplit(location).path)
    return location.removeprefix("classpath:")
