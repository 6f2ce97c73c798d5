"""HTTP endpoints: `io.statefun.endpoints.v2/http` and `io.statefun.endpoints.v1/http`."""

import re
from urllib.parse import SplitResult, urlsplit

from statefun_runtime.config.module.failures import read_on_failure
from statefun_runtime.config.module.headers import read_auth, read_headers
from statefun_runtime.config.module.transports import TIMEOUTS, read_okhttp, read_transport
from statefun_runtime.config.problems import Code
from statefun_runtime.config.reading.fields import Fields, Shape
from statefun_runtime.config.reading.secrets import Secret
from statefun_runtime.config.yaml.positions import Scalar
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.endpoint_url import UNIX_SCHEMES, EndpointUrl
from statefun_runtime.core.module.specs import (
    EndpointSpec,
    FunctionPattern,
    OkHttpTransport,
    Transport,
)

COMMON = ("maxNumBatchRequests", "onFailure", "deadLetters")
_COMMON = ("functions", "urlPathTemplate", *COMMON)
_BATCH_THRESHOLD = 1000
_INT_MIN = -(2**31)

ENDPOINT_V2 = Shape(
    "HTTP endpoint",
    (*_COMMON, "transport", "headers", "auth"),
    advice={
        **dict.fromkeys(
            ("timeouts", "call", "connect", "pool_ttl", "pool_size", "payload_max_bytes"),
            "it belongs below 'transport'",
        ),
    },
)
ENDPOINT_V1 = Shape(
    "HTTP endpoint",
    (*_COMMON, TIMEOUTS),
    advice={
        "transport": "only io.statefun.endpoints.v2/http has transports",
        **dict.fromkeys(("headers", "auth"), "only io.statefun.endpoints.v2/http has it"),
    },
)

_NAME_PLACEHOLDER = "{function.name}"
_URL = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*")
_URL_FORM = "write it like http://functions:8000/statefun; {function.name} stands for the name"


def read_endpoint_v2(fields: Fields) -> EndpointSpec | None:
    pattern = read_pattern(fields)
    url_template = _read_url_template(fields)
    threshold = read_threshold(fields)
    transport = read_transport(fields)
    on_failure, dead_letters = read_on_failure(fields)
    headers = read_headers(fields)
    auth = read_auth(fields, headers)
    if pattern is None or url_template is None or transport is None:
        return None
    _check_proxy(fields, url_template, transport)
    return EndpointSpec(
        pattern, url_template, threshold, transport, on_failure, dead_letters, headers, auth
    )


def read_endpoint_v1(fields: Fields) -> EndpointSpec | None:
    pattern = read_pattern(fields)
    url_template = _read_url_template(fields)
    threshold = read_threshold(fields, allow_quotes=False)
    transport = read_okhttp(fields)
    on_failure, dead_letters = read_on_failure(fields)
    if pattern is None or url_template is None:
        return None
    return EndpointSpec(pattern, url_template, threshold, transport, on_failure, dead_letters)


def read_threshold(fields: Fields, *, allow_quotes: bool = True) -> int:
    """Read with how many waiting messages an address holds back what comes in."""
    threshold = fields.integer("maxNumBatchRequests", low=_INT_MIN, allow_quotes=allow_quotes)
    return _BATCH_THRESHOLD if threshold is None else threshold


def read_pattern(fields: Fields) -> FunctionPattern | None:
    """Read which function types an endpoint serves."""
    scalar = fields.scalar("functions", required=True)
    pattern = None if scalar is None else _parse_pattern(fields, scalar)
    fields.draft.serve(pattern, fields.place if scalar is None else scalar.place)
    return pattern


def _parse_pattern(fields: Fields, scalar: Scalar) -> FunctionPattern | None:
    try:
        typename = TypeName.parse(scalar.text)
    except ValueError:
        typename = None
    if typename is not None and "*" not in typename.namespace:
        if typename.name == "*":
            return FunctionPattern(typename.namespace, None)
        if "*" not in typename.name:
            return FunctionPattern(typename.namespace, typename.name)
    message = f"functions {scalar.text!r} is not of the form 'namespace/name' or 'namespace/*'"
    fields.draft.error(scalar.place, Code.BAD_TYPENAME, message)
    return None


def _read_url_template(fields: Fields) -> str | None:
    scalar = fields.scalar("urlPathTemplate", required=True)
    if scalar is None:
        return None
    template = scalar.text
    reason = _why_not_url(template.replace(_NAME_PLACEHOLDER, "name"))
    if reason is not None:
        message = f"urlPathTemplate {template!r} {reason}"
        fields.draft.error(scalar.place, Code.BAD_URL, message, _URL_FORM)
        return None
    return template


def _why_not_url(url: str) -> str | None:
    if "{" in url:
        return f"has a placeholder that is not {_NAME_PLACEHOLDER}"
    legal = _URL.match(url)
    assert legal is not None
    if legal.end() < len(url):
        found = "a character" if isinstance(url, Secret) else f"the character {url[legal.end()]!r}"
        return f"has {found}, which must be percent-encoded in a URL"
    try:
        parts = urlsplit(url)
    except ValueError:
        return "has square brackets that hold no IPv6 address"
    if parts.scheme in UNIX_SCHEMES:
        return _why_no_socket(url, parts)
    if parts.scheme not in ("http", "https"):
        return "does not begin with http:// or https://"
    if not parts.hostname:
        return "names no host"
    return None if _has_possible_port(parts) else "has a port that is not from 1 to 65535"


def _why_no_socket(url: str, parts: SplitResult) -> str | None:
    if parts.netloc not in ("", "localhost"):
        return f"names the host {parts.netloc!r}, but a socket is a file: {parts.scheme}:///run/fns.sock/path"
    try:
        EndpointUrl.parse(url)
    except ValueError as error:
        return str(error)
    return None


def _check_proxy(fields: Fields, url_template: str, transport: Transport) -> None:
    if isinstance(transport, OkHttpTransport) and transport.proxy is not None:
        scheme = urlsplit(url_template).scheme
        if scheme in UNIX_SCHEMES:
            message = (
                f"{fields.label} has a 'proxy', but unix domain sockets are not reached by one"
            )
            fields.draft.error(fields.value_place("transport"), Code.CONTRADICTION, message)


def _has_possible_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False
