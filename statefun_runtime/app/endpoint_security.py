"""What the clients of an endpoint share: certificates, headers, the hand that signs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from statefun_runtime.adapters.http.header_lines import Headers
from statefun_runtime.adapters.http.sigv4 import AwsSigner
from statefun_runtime.adapters.http.tls import ClientTls
from statefun_runtime.core.module.specs import EndpointSpec, FunctionPattern, TlsSpec
from statefun_runtime.ports.module import ModuleSpec


@dataclass(frozen=True, slots=True)
class EndpointSecurity:
    """What one endpoint's requests need besides a connection; there is TLS where the URL or a file asks for it."""

    tls: ClientTls | None = None
    headers: Headers = field(default_factory=Headers)
    signer: AwsSigner | None = None


AllEndpointSecurity = Mapping[FunctionPattern, EndpointSecurity]


def prepare_security(module: ModuleSpec) -> AllEndpointSecurity:
    """Read the files of all endpoints and find their credentials; raise ConfigError if something cannot be used."""
    return {endpoint.pattern: _prepare(endpoint) for endpoint in module.endpoints}


def _prepare(endpoint: EndpointSpec) -> EndpointSecurity:
    tls_spec = endpoint.transport.tls
    needs_tls = endpoint.url_template.startswith("https:") or tls_spec != TlsSpec()
    return EndpointSecurity(
        ClientTls(tls_spec) if needs_tls else None,
        Headers(endpoint.headers),
        AwsSigner(endpoint.auth) if endpoint.auth else None,
    )
