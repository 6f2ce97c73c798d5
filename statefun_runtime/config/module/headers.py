"""What requests to an endpoint carry besides their content: `headers` and `auth`.

A header's value is taken for a secret: lines that may hold one are not shown with a problem.
"""

import re

from statefun_runtime.config.problems import Code
from statefun_runtime.config.reading.fields import Fields, Shape
from statefun_runtime.config.reading.resources import resource_path
from statefun_runtime.config.yaml.positions import Entry, MapNode, Scalar, is_null
from statefun_runtime.core.module.specs import HeaderSpec, SigV4Spec

AUTH_SHAPE = Shape("auth", ("type", "region", "service"))
SIGV4 = "aws-sigv4"
_FORM = "write 'NAME: value', or 'NAME: {file: PATH}' for a value that is in a file"

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
# They say how the body is to be read and the connection used, which is the transport's business.
_FORBIDDEN = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)
_SIGNED = ("authorization", "x-amz-date", "x-amz-security-token")


def read_headers(endpoint: Fields) -> tuple[HeaderSpec, ...]:
    """Read the headers of an endpoint; those with problems are left out."""
    entry = endpoint.find("headers")
    if entry is None:
        return ()
    if not isinstance(entry.value, MapNode):
        message = f"'headers' of {endpoint.label} must be a mapping"
        endpoint.draft.secret_error(entry.value.place, Code.BAD_HEADER, message, _FORM)
        return ()
    headers: dict[str, HeaderSpec] = {}
    for each in entry.value.entries.values():
        reason = _why_not_name(each.key, headers)
        if reason is not None:
            _report(endpoint, each, reason, None)
            continue
        header = _read_header(endpoint, each)
        if header is not None:
            headers[each.key.lower()] = header
    return tuple(headers.values())


def _why_not_name(name: str, known: dict[str, HeaderSpec]) -> str | None:
    if not _NAME.fullmatch(name):
        return "has a name that HTTP does not allow"
    if name.lower() in _FORBIDDEN:
        return "is set by the transport itself and cannot be given"
    return "is there twice, in upper and lower case" if name.lower() in known else None


def _read_header(endpoint: Fields, entry: Entry) -> HeaderSpec | None:
    if isinstance(entry.value, MapNode):
        return _read_file(endpoint, entry, entry.value)
    if not isinstance(entry.value, Scalar) or is_null(entry.value) or not entry.value.text.strip():
        _report(endpoint, entry, "has no value", _FORM)
        return None
    value = entry.value.text.strip()
    if not _VALUE.fullmatch(value):
        hint = "a value is one line; text of other alphabets has to be encoded"
        _report(endpoint, entry, "has a character that a value cannot have", hint)
        return None
    return HeaderSpec(entry.key, value)


def _read_file(endpoint: Fields, entry: Entry, node: MapNode) -> HeaderSpec | None:
    file = node.entries.get("file")
    if file is None or len(node.entries) > 1 or not isinstance(file.value, Scalar):
        _report(endpoint, entry, "is neither a value nor a file", _FORM)
        return None
    path = resource_path(endpoint, entry.key, file.value)
    return None if path is None else HeaderSpec(entry.key, file=path)


def _report(endpoint: Fields, entry: Entry, what: str, hint: str | None) -> None:
    message = f"header {entry.key!r} of {endpoint.label} {what}"
    endpoint.draft.secret_error(entry.place, Code.BAD_HEADER, message, hint)


def read_auth(endpoint: Fields, headers: tuple[HeaderSpec, ...]) -> SigV4Spec | None:
    """Read how requests are signed, if they are."""
    auth = endpoint.mapping("auth", AUTH_SHAPE)
    if auth is None:
        return None
    auth.choice("type", (SIGV4,), required=True)
    region, service = auth.text("region", required=True), auth.text("service", required=True)
    for header in headers:
        if header.name.lower() in _SIGNED:
            message = f"header {header.name!r} is also made by 'auth'"
            hint = "leave one of them out"
            auth.draft.error(auth.place, Code.CONTRADICTION, message, hint)
    return SigV4Spec(region, service) if region and service else None
