"""How an endpoint is called: the transports `async` and `okhttp` with their properties."""

from dataclasses import replace
from urllib.parse import urlsplit

from statefun_runtime.config.problems import Code, did_you_mean
from statefun_runtime.config.reading.fields import Fields, Shape
from statefun_runtime.config.reading.resources import resource
from statefun_runtime.config.yaml.positions import Scalar
from statefun_runtime.core.module.specs import AsyncTransport, OkHttpTransport, TlsSpec, Transport

ASYNC = "io.statefun.transports.v1/async"
OKHTTP = "io.statefun.transports.v1/okhttp"
TIMEOUTS = "timeouts"
_KNOWN = {ASYNC: "async", OKHTTP: "okhttp"}

TLS_FIELDS = ("trust_cacerts", "client_cert", "client_key", "client_key_password")
_STEP_TIMEOUTS = ("connect", "read", "write")
_SECOND_NS = 1_000_000_000
_OKHTTP_CALL_NS = 60 * _SECOND_NS
_OKHTTP_STEP_NS = 10 * _SECOND_NS
_ASYNC_CALL_NS = 120 * _SECOND_NS
_ASYNC_CONNECT_NS = 20 * _SECOND_NS

TIMEOUTS_SHAPE = Shape("timeouts", ("call", "connect", "read", "write"))
ASYNC_SHAPE = Shape(
    "transport",
    (
        "type",
        "call",
        "connect",
        "pool_ttl",
        "pool_size",
        "payload_max_bytes",
        *TLS_FIELDS,
        TIMEOUTS,
    ),
    advice={
        **dict.fromkeys(("read", "write"), f"only {OKHTTP} has it, below 'timeouts'"),
        "proxy": f"only {OKHTTP} has it",
    },
)
OKHTTP_SHAPE = Shape(
    "transport",
    ("type", TIMEOUTS, "pool_ttl", "proxy", *TLS_FIELDS),
    advice={
        **dict.fromkeys(
            ("call", "connect", "read", "write"), f"with {OKHTTP} it belongs below 'timeouts'"
        ),
        **dict.fromkeys(("pool_size", "payload_max_bytes"), f"only {ASYNC} has it"),
    },
)


def read_transport(endpoint: Fields) -> Transport | None:
    """Read the transport of a v2 endpoint, which may have none: then it is async with every default."""
    if endpoint.find("transport") is None:
        return AsyncTransport()
    transport = endpoint.open("transport", "transport")
    if transport is None:
        return None
    match _read_type(transport):
        case "async":
            transport.allow_only(ASYNC_SHAPE)
            return _read_async(transport)
        case "okhttp":
            transport.allow_only(OKHTTP_SHAPE)
            return _read_okhttp_more(transport, read_okhttp(transport))
    return None


def _read_type(transport: Fields) -> str | None:
    if transport.find("type") is None:
        return _KNOWN[ASYNC]
    scalar = transport.scalar("type")
    typename = None if scalar is None else transport.parse_typename("transport type", scalar)
    if scalar is None or typename is None:
        return None
    known = _KNOWN.get(str(typename))
    if known is None:
        message = f"unknown transport {scalar.text!r}"
        hint = did_you_mean(scalar.text, _KNOWN) or f"there are {' and '.join(_KNOWN)}"
        transport.draft.error(scalar.place, Code.UNKNOWN_KIND, message, hint)
    return known


def read_okhttp(parent: Fields) -> OkHttpTransport:
    """Read the okhttp properties of a transport, or of a v1 endpoint, which has them in its spec."""
    timeouts = parent.mapping(TIMEOUTS, TIMEOUTS_SHAPE)
    if timeouts is None:
        return OkHttpTransport()
    call_ns = timeouts.positive_duration_ns("call") or _OKHTTP_CALL_NS
    steps_ns = {
        name: timeouts.positive_duration_ns(name) or _OKHTTP_STEP_NS for name in _STEP_TIMEOUTS
    }
    _check_steps(timeouts, steps_ns, call_ns)
    connect_s, read_s, write_s = (ns / _SECOND_NS for ns in steps_ns.values())
    return OkHttpTransport(call_ns / _SECOND_NS, connect_s, read_s, write_s)


def _read_okhttp_more(fields: Fields, timeouts: OkHttpTransport) -> OkHttpTransport:
    """Read what StateFun's okhttp does not have, and endpoints of the first version neither."""
    pool_ttl_ns = fields.duration_ns("pool_ttl")
    pool_ttl_s = timeouts.pool_ttl_s if pool_ttl_ns is None else pool_ttl_ns / _SECOND_NS
    return replace(
        timeouts, pool_ttl_s=pool_ttl_s, proxy=_read_proxy(fields), tls=_read_tls(fields)
    )


def _read_proxy(fields: Fields) -> str | None:
    """Read the URL of a proxy; it may hold a password, so that its line is never shown."""
    entry = fields.find("proxy")
    if entry is None:
        return None
    text = entry.value.text if isinstance(entry.value, Scalar) else ""
    try:
        parts = urlsplit(text)
        is_proxy = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_proxy = False
    if is_proxy and parts.path in ("", "/") and not parts.query and not parts.fragment:
        return text
    message = f"the 'proxy' in {fields.label} is not the URL of a proxy"
    hint = "write it like http://proxy:3128 or http://user:password@proxy:3128"
    fields.draft.secret_error(entry.value.place, Code.BAD_PROXY, message, hint)
    return None


def _check_steps(timeouts: Fields, steps_ns: dict[str, int], call_ns: int) -> None:
    """Report the steps of a call that may take longer than the whole of it."""
    too_long = [name for name, step_ns in steps_ns.items() if step_ns > call_ns]
    defaults = [name for name in too_long if timeouts.find(name) is None]
    for name in too_long:
        if name not in defaults:
            step = timeouts.told(name, _seconds(steps_ns[name]))
            whole = timeouts.told("call", _seconds(call_ns))
            message = f"timeout {name!r} is {step}, longer than the whole call ({whole})"
            place = timeouts.value_place(name)
            timeouts.draft.error(place, Code.CONTRADICTION, message, "lower it, or raise 'call'")
    if defaults:
        whole = timeouts.told("call", _seconds(call_ns))
        message = f"timeout 'call' is {whole}, shorter than the default of {', '.join(defaults)} ({_seconds(_OKHTTP_STEP_NS)})"
        place = timeouts.value_place("call")
        hint = f"set {', '.join(defaults)} too, or raise 'call'"
        timeouts.draft.error(place, Code.CONTRADICTION, message, hint)


def _seconds(duration_ns: int) -> str:
    return f"{duration_ns / _SECOND_NS:g}s"


def _read_async(fields: Fields) -> AsyncTransport:
    call_ns, connect_ns = _read_async_budgets(fields)
    pool_ttl_ns = fields.duration_ns("pool_ttl")
    pool_size = fields.integer("pool_size", low=1)
    payload_max_bytes = fields.integer("payload_max_bytes", low=1)
    default = AsyncTransport()
    return AsyncTransport(
        call_s=call_ns / _SECOND_NS,
        connect_s=connect_ns / _SECOND_NS,
        pool_ttl_s=default.pool_ttl_s if pool_ttl_ns is None else pool_ttl_ns / _SECOND_NS,
        pool_size=default.pool_size if pool_size is None else pool_size,
        payload_max_bytes=(
            default.payload_max_bytes if payload_max_bytes is None else payload_max_bytes
        ),
        tls=_read_tls(fields),
    )


def _read_async_budgets(fields: Fields) -> tuple[int, int]:
    """Return call and connect; okhttp's spelling, where it is used, decides both with okhttp's defaults."""
    call_ns = fields.positive_duration_ns("call") or _ASYNC_CALL_NS
    connect_ns = fields.positive_duration_ns("connect") or _ASYNC_CONNECT_NS
    timeouts = fields.mapping(TIMEOUTS, TIMEOUTS_SHAPE)
    if timeouts is None:
        return call_ns, connect_ns
    for name in ("call", "connect"):
        if fields.find(name) is not None:
            message = f"{name!r} is ignored, because 'timeouts' is there and decides it"
            hint = f"write {name!r} below 'timeouts', or leave 'timeouts' out"
            fields.draft.warn(fields.value_place(name), Code.IGNORED, message, hint)
    for name in ("read", "write"):
        if timeouts.duration_ns(name) is not None:
            message = f"timeout {name!r} is ignored: the transport {ASYNC} has none"
            timeouts.draft.warn(timeouts.value_place(name), Code.IGNORED, message)
    return (
        timeouts.positive_duration_ns("call") or _OKHTTP_CALL_NS,
        timeouts.positive_duration_ns("connect") or _OKHTTP_STEP_NS,
    )


def _read_tls(fields: Fields) -> TlsSpec:
    paths = {name: resource(fields, name) for name in TLS_FIELDS}
    if (paths["client_cert"] is None) != (paths["client_key"] is None):
        given, other = "client_cert", "client_key"
        if paths[given] is None:
            given, other = other, given
        if fields.find(given) is not None and fields.find(other) is None:
            message = f"{given!r} is given without {other!r}; mutual TLS needs both"
            fields.draft.error(fields.value_place(given), Code.CONTRADICTION, message)
    return TlsSpec(**paths)
