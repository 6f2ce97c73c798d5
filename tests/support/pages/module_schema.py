"""Writes docs/reference/module.schema.json from the loader's shapes and docs/reference/module.md: `make docs`.

Which fields there are, the loader says; what they mean, the page says. Only how values look is said here; a field of
which nothing is said may have any value.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from statefun_runtime.config.legacy.entry import ENTRY_KEYS
from statefun_runtime.config.legacy.formats import FORMATS
from statefun_runtime.config.module.failures import DEAD_LETTERS_SHAPE
from statefun_runtime.config.module.headers import AUTH_SHAPE, SIGV4
from statefun_runtime.config.module.routers import ROUTER_SHAPE
from statefun_runtime.config.module.transports import (
    ASYNC,
    ASYNC_SHAPE,
    OKHTTP,
    OKHTTP_SHAPE,
    TIMEOUTS_SHAPE,
    TLS_FIELDS,
)
from statefun_runtime.config.reading.fields import Shape
from statefun_runtime.config.reading.units import _DURATION_UNITS_NS
from statefun_runtime.connectors.kafka.settings.reading import DELIVERY_SHAPE
from statefun_runtime.connectors.kafka.settings.startup import STARTUP_SHAPE, STARTUP_TYPES
from statefun_runtime.connectors.kafka.settings.topics import TOPIC_SHAPE
from statefun_runtime.connectors.kafka.settings.values import DeliverySemantic
from statefun_runtime.connectors.kinesis.settings.aws_reading import (
    CREDENTIALS_SHAPE,
    CREDENTIALS_TYPES,
    REGION_SHAPE,
    REGION_TYPES,
)
from statefun_runtime.connectors.kinesis.settings.streams import (
    STREAM_SHAPE,
    STREAM_STARTUP_SHAPE,
    STREAM_STARTUP_TYPES,
)
from statefun_runtime.connectors.modules import BUILT_IN as KINDS
from statefun_runtime.core.module.specs import OnFailure, OnInvalidRecord
from tests.support.provisions import ROOT

SCHEMA = ROOT / "docs" / "reference" / "module.schema.json"
_PAGE = ROOT / "docs" / "reference" / "module.md"
_INT_MAX = 2**31 - 1
# Somewhere in a text: what it becomes is known only when the worker starts.
_PLACEHOLDER = r"\$\{"

Json = dict[str, Any]


def _ref(name: str) -> Json:
    return {"$ref": f"#/$defs/{name}"}


def _pattern(*patterns: str) -> Json:
    return {"type": "string", "pattern": "|".join((*patterns, _PLACEHOLDER))}


def _ignoring_case(word: str) -> str:
    return "".join(f"[{c.upper()}{c}]" if c.isalpha() and c.isascii() else c for c in word)


def _integer(low: int, high: int = _INT_MAX) -> Json:
    whole = {"type": "integer", "minimum": low, "maximum": high}
    return {"anyOf": [whole, _pattern(r"^\s*[-+]?[0-9]+\s*$")]}


def _choice(values: Sequence[str], *, ignore_case: bool = False) -> Json:
    if ignore_case:
        return _pattern(*(f"^{_ignoring_case(value)}$" for value in values))
    return {"anyOf": [{"enum": list(values)}, _pattern()]}


def _list(items: Json, *, at_least: int = 0) -> Json:
    return {"type": "array", "items": items, **({"minItems": at_least} if at_least else {})}


def _when(name: str, value: str, *needed: str) -> Json:
    """Return: where a field has a value, one of some others must be there."""
    condition = {"properties": {name: {"const": value}}, "required": [name]}
    return {"if": condition, "then": {"anyOf": [{"required": [each]} for each in needed]}}


_UNITS = "|".join(_ignoring_case(unit) for unit in sorted(_DURATION_UNITS_NS, reverse=True))
_BASICS: Json = {
    "text": {"type": ["string", "number", "boolean"], "not": {"const": ""}},
    "typename": _pattern(r"^[^/]*/[^/]+/*$"),
    "duration": {
        "anyOf": [
            {"type": "integer", "minimum": 0},
            _pattern(rf"^\s*[0-9]+\s*(?:{_UNITS})?\s*$"),
        ]
    },
    "scalars": {"type": "object", "additionalProperties": _ref("text")},
    "properties": {"anyOf": [_ref("scalars"), _list(_ref("scalars"))]},
}


@dataclass(frozen=True, slots=True)
class _Object:
    """One shape: where the page tells of its fields, under which prefix, and how their values look."""

    shape: Shape
    section: str
    prefix: str = ""
    fields: Mapping[str, Json] = field(default_factory=dict)
    rules: Sequence[Json] = ()
    other: Json = field(default_factory=dict)
    optional: frozenset[str] = frozenset()


_V2, _V1 = "io.statefun.endpoints.v2/http", "io.statefun.endpoints.v1/http"
_PYTHON = "io.statefun.endpoints.v1/python"
_IN, _OUT = "io.statefun.kafka.v1/ingress", "io.statefun.kafka.v1/egress"
_ENDPOINT: Mapping[str, Json] = {
    "functions": _pattern(r"^[^/*]*/([^/*]+|\*)/*$"),
    "urlPathTemplate": {"type": "string", "minLength": 1},
    "maxNumBatchRequests": _integer(-_INT_MAX - 1),
    "onFailure": _choice([each.value for each in OnFailure]),
    "deadLetters": _ref("deadLetters"),
    "timeouts": _ref("timeouts"),
    "transport": _ref("transport"),
}


def _without(name: str) -> Mapping[str, Json]:
    return {each: looks for each, looks in _ENDPOINT.items() if each != name}


_DEAD_LETTER = _when("onFailure", OnFailure.DEAD_LETTER.value, "deadLetters")
_ADDRESS = {"anyOf": [{"required": ["address"]}, {"required": ["properties"]}]}
_GROUP = {"anyOf": [{"required": ["consumerGroupId"]}, {"required": ["properties"]}]}
_STEPS = dict.fromkeys(("call", "connect", "read", "write"), _ref("duration"))
_NO_QUOTES = {"anyOf": [{"type": "integer"}, _pattern()]}
_STREAM_IN, _STREAM_OUT = "io.statefun.kinesis.v1/ingress", "io.statefun.kinesis.v1/egress"
_PLAYGROUND = "io.statefun.playground.v1"

_PAIR = {"dependentRequired": {"client_cert": ["client_key"], "client_key": ["client_cert"]}}
_IN_FILE = {
    "type": "object",
    "properties": {"file": _ref("text")},
    "required": ["file"],
    "additionalProperties": False,
}
_HEADERS = {"type": "object", "additionalProperties": {"anyOf": [_ref("text"), _IN_FILE]}}

_NESTED: Mapping[str, _Object] = {
    "timeouts": _Object(TIMEOUTS_SHAPE, OKHTTP, "timeouts.", _STEPS),
    "async": _Object(
        ASYNC_SHAPE,
        ASYNC,
        fields={
            "type": _choice([ASYNC]),
            "call": _ref("duration"),
            "connect": _ref("duration"),
            "pool_ttl": _ref("duration"),
            "pool_size": _integer(1),
            "payload_max_bytes": _integer(1),
            "timeouts": _ref("timeouts"),
            **dict.fromkeys(TLS_FIELDS, _ref("text")),
        },
        other=_PAIR,
    ),
    "okhttp": _Object(
        OKHTTP_SHAPE,
        OKHTTP,
        fields={
            "type": _choice([OKHTTP]),
            "timeouts": _ref("timeouts"),
            "pool_ttl": _ref("duration"),
            "proxy": _pattern(r"^https?://"),
            **dict.fromkeys(TLS_FIELDS, _ref("text")),
        },
        other=_PAIR,
    ),
    "auth": _Object(
        AUTH_SHAPE,
        _V2,
        "auth.",
        {"type": _choice([SIGV4]), "region": _ref("text"), "service": _ref("text")},
    ),
    "deadLetters": _Object(
        DEAD_LETTERS_SHAPE,
        _V2,
        "deadLetters.",
        {"egress": _ref("typename"), "topic": _ref("text")},
    ),
    "topic": _Object(
        TOPIC_SHAPE,
        _IN,
        "topics[].",
        {
            "topic": _ref("text"),
            "valueType": {"type": "string", "minLength": 1},
            "forwardMetadata": {"anyOf": [{"type": "boolean"}, _choice(["true", "false"])]},
            "targets": _list(_ref("typename")),
            "unservedTargets": _list(_ref("typename")),
            "routers": _list(_ref("router")),
        },
        [{"anyOf": [{"required": ["targets"]}, {"required": ["routers"]}]}],
    ),
    "router": _Object(
        ROUTER_SHAPE,
        _IN,
        "topics[].routers[].",
        {
            "target": _pattern("/[^/]+/[^/]+$"),
            "messageType": _ref("text"),
            "descriptorSet": _ref("text"),
        },
    ),
    "startupPosition": _Object(
        STARTUP_SHAPE,
        _IN,
        "startupPosition.",
        {"type": _choice(STARTUP_TYPES), "offsets": _ref("properties"), "date": _ref("text")},
        [_when("type", "specific-offsets", "offsets"), _when("type", "date", "date")],
        {"required": ["type"]},
    ),
    "stream": _Object(
        STREAM_SHAPE,
        _STREAM_IN,
        "streams[].",
        {
            "stream": _pattern(r"^[A-Za-z0-9_.-]{1,128}$"),
            "valueType": {"type": "string", "minLength": 1},
            "targets": _list(_ref("typename")),
            "unservedTargets": _list(_ref("typename")),
        },
    ),
    "streamStartupPosition": _Object(
        STREAM_STARTUP_SHAPE,
        _STREAM_IN,
        "startupPosition.",
        {"type": _choice(STREAM_STARTUP_TYPES), "date": _ref("text")},
        [_when("type", "date", "date")],
    ),
    "awsRegion": _Object(
        REGION_SHAPE,
        _STREAM_IN,
        "awsRegion.",
        {
            "type": _choice(REGION_TYPES),
            "id": _ref("text"),
            "endpoint": _pattern("^https?://"),
        },
        [
            _when("type", "specific", "id"),
            _when("type", "custom-endpoint", "id"),
            _when("type", "custom-endpoint", "endpoint"),
        ],
        optional=frozenset({"id", "endpoint"}),
    ),
    "awsCredentials": _Object(
        CREDENTIALS_SHAPE,
        _STREAM_IN,
        "awsCredentials.",
        {
            "type": _choice(CREDENTIALS_TYPES),
            **dict.fromkeys(
                ("accessKeyId", "secretAccessKey", "profileName", "profilePath"), _ref("text")
            ),
        },
        [
            _when("type", "basic", "accessKeyId"),
            _when("type", "basic", "secretAccessKey"),
            _when("type", "profile", "profileName"),
        ],
    ),
    "deliverySemantic": _Object(
        DELIVERY_SHAPE,
        _OUT,
        "deliverySemantic.",
        {
            "type": _choice([each.value for each in DeliverySemantic]),
            "transactionTimeout": _ref("duration"),
            "transactionTimeoutMillis": _integer(1),
        },
        [_when("type", "exactly-once", "transactionTimeout", "transactionTimeoutMillis")],
    ),
}
_SPECS: Mapping[str, _Object] = {
    _V2: _Object(
        KINDS[_V2].shape,
        _V2,
        fields={**_without("timeouts"), "headers": _HEADERS, "auth": _ref("auth")},
        rules=[_DEAD_LETTER],
    ),
    _V1: _Object(
        KINDS[_V1].shape,
        _V2,
        fields={**_without("transport"), "maxNumBatchRequests": _NO_QUOTES},
        rules=[_DEAD_LETTER],
    ),
    _PYTHON: _Object(
        KINDS[_PYTHON].shape,
        _PYTHON,
        fields={
            **{
                name: looks
                for name, looks in _ENDPOINT.items()
                if name in KINDS[_PYTHON].shape.fields
            },
            "module": _pattern(r"^[^\d\W]\w*(\.[^\d\W]\w*)*(:[^\d\W]\w*)?$"),
            "processes": _integer(0, 256),
            "threads": _integer(0, 256),
            "call": _ref("duration"),
            "payload_max_bytes": _integer(1),
        },
        rules=[_DEAD_LETTER],
    ),
    _IN: _Object(
        KINDS[_IN].shape,
        _IN,
        fields={
            "id": _ref("typename"),
            "address": _ref("text"),
            "consumerGroupId": _ref("text"),
            "topics": _list(_ref("topic"), at_least=1),
            "autoOffsetResetPosition": _choice(("earliest", "latest"), ignore_case=True),
            "startupPosition": _ref("startupPosition"),
            "properties": _ref("properties"),
            "invalidRecordHandling": _choice([each.value for each in OnInvalidRecord]),
            "deadLetters": _ref("deadLetters"),
        },
        rules=[_ADDRESS, _GROUP, _when("invalidRecordHandling", "forward", "deadLetters")],
        optional=frozenset({"address", "consumerGroupId"}),
    ),
    _OUT: _Object(
        KINDS[_OUT].shape,
        _OUT,
        fields={
            "id": _ref("typename"),
            "address": _ref("text"),
            "deliverySemantic": _ref("deliverySemantic"),
            "properties": _ref("properties"),
            "deadLetters": _ref("deadLetters"),
        },
        rules=[_ADDRESS],
        optional=frozenset({"address"}),
    ),
    _STREAM_IN: _Object(
        KINDS[_STREAM_IN].shape,
        _STREAM_IN,
        fields={
            "id": _ref("typename"),
            "awsRegion": _ref("awsRegion"),
            "awsCredentials": _ref("awsCredentials"),
            "startupPosition": _ref("streamStartupPosition"),
            "streams": _list(_ref("stream"), at_least=1),
            "clientConfigProperties": _ref("properties"),
            "invalidRecordHandling": _choice([each.value for each in OnInvalidRecord]),
            "deadLetters": _ref("deadLetters"),
        },
        rules=[_when("invalidRecordHandling", "forward", "deadLetters")],
    ),
    _STREAM_OUT: _Object(
        KINDS[_STREAM_OUT].shape,
        _STREAM_OUT,
        fields={
            "id": _ref("typename"),
            "awsRegion": _ref("awsRegion"),
            "awsCredentials": _ref("awsCredentials"),
            "maxOutstandingRecords": _integer(1),
            "clientConfigProperties": _ref("properties"),
            "deadLetters": _ref("deadLetters"),
        },
    ),
    f"{_PLAYGROUND}/ingress": _Object(
        KINDS[f"{_PLAYGROUND}/ingress"].shape,
        f"{_PLAYGROUND}/ingress",
        fields={"port": _integer(0, 65_535)},
    ),
    f"{_PLAYGROUND}/egress": _Object(
        KINDS[f"{_PLAYGROUND}/egress"].shape,
        f"{_PLAYGROUND}/egress",
        fields={
            "port": _integer(0, 65_535),
            "topics": _list(_ref("text")),
            "cursorTopics": _list(_ref("text")),
        },
    ),
}


@dataclass(frozen=True, slots=True)
class _Told:
    """What the page tells of one field."""

    is_required: bool
    default: str
    text: str


def schema() -> Json:
    """Return the schema as the loader and the page want it."""
    told = _told_fields(_PAGE.read_text())
    specs = {name: _SPECS.get(name, _Object(kind.shape, name)) for name, kind in KINDS.items()}
    definitions = {
        **_BASICS,
        "transport": {
            "if": {"properties": {"type": {"const": OKHTTP}}, "required": ["type"]},
            "then": _ref("okhttp"),
            "else": _ref("async"),
        },
        **{name: _object(each, told) for name, each in _NESTED.items()},
        **{name: _object(each, told) for name, each in specs.items()},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A document of a StateFun module",
        "description": "One component: an endpoint, an ingress or an egress. Documents are divided by '---'.",
        "if": {"type": "object", "not": {"anyOf": [{"required": [key]} for key in _LEGACY_KEYS]}},
        "then": _component(specs),
        "else": {"anyOf": [{"type": "null"}, _ref("legacy")]},
        "$defs": {**definitions, "legacy": _LEGACY},
    }


_LEGACY_KEYS = ("version", "module", *ENTRY_KEYS)
_LEGACY: Json = {
    "description": "A whole module in a format from before StateFun 3.1, which is not looked into here.",
    "type": "object",
    "properties": {"version": {"enum": [*FORMATS, 1.0, 2.0, 3.0]}, "module": {"type": "object"}},
    "if": {"anyOf": [{"required": ["version"]}, {"required": ["module"]}]},
    "then": {"required": ["version", "module"]},
}


def _component(specs: Mapping[str, _Object]) -> Json:
    kind = {
        "description": "which component this is; installed packages may bring others",
        "anyOf": [{"enum": list(specs)}, {"type": "string", "pattern": "^[^/]*/[^/]+/*$"}],
    }
    return {
        "type": "object",
        "properties": {"kind": kind, "spec": {"type": "object"}},
        "required": ["kind", "spec"],
        "additionalProperties": False,
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": name}}, "required": ["kind"]},
                "then": {"properties": {"spec": _ref(name.replace("/", "~1"))}},
            }
            for name in specs
        ],
    }


def _object(each: _Object, told: Mapping[tuple[str, str], _Told]) -> Json:
    unknown = set(each.fields) - set(each.shape.fields)
    assert not unknown, f"{each.shape.noun} has no {unknown}"
    properties, required = {}, []
    for name in each.shape.fields:
        about = told.get((each.section, each.prefix + name))
        looks = each.fields.get(name, {})
        if about is not None and about.is_required and name not in each.optional:
            required.append(name)
        else:
            # A field with nothing behind its colon counts as left out.
            looks = {"if": {"type": "null"}, "else": looks} if looks else looks
        properties[name] = {**_words(about), **looks}
    result = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **({"required": required} if required else {}),
        **each.other,
    }
    return {**result, "allOf": list(each.rules)} if each.rules else result


def _words(about: _Told | None) -> Json:
    if about is None:
        return {}
    words: Json = {"description": about.text}
    if re.fullmatch(r"`[^`: ]+`", about.default):
        written = about.default.strip("`")
        words["default"] = int(written) if written.isdigit() else written
    return words


def _told_fields(page: str) -> dict[tuple[str, str], _Told]:
    """Return what the tables of the page tell of each field, by section and name."""
    told: dict[tuple[str, str], _Told] = {}
    section, head = "", []
    for line in page.splitlines():
        if match := re.match(r"#+ `(.*)`$", line):
            section = match[1]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| field "):
            head = cells
        elif not line.startswith("|"):
            head = []
        elif head and (name := re.fullmatch(r"`(.+)`", cells[0])):
            told[section, name[1]] = _about(head, cells)
    return told


def _about(head: Sequence[str], cells: Sequence[str]) -> _Told:
    default = cells[head.index("default")] if "default" in head else ""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", cells[-1])
    return _Told("required" in cells[1:-1], default, text.replace("`", "'"))


def shapes() -> Iterator[tuple[str, Shape]]:
    """Return every shape with the name of its definition in the schema."""
    for name, each in _NESTED.items():
        yield name, each.shape
    for name, kind in KINDS.items():
        yield name, kind.shape


def text() -> str:
    """Return the content of the file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(text())
    print(f"wrote {SCHEMA.relative_to(ROOT)}")
