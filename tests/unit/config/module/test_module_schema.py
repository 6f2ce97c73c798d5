"""The JSON Schema of module.yaml agrees with the loader, in both directions."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from statefun_runtime.config import Severity
from statefun_runtime.config.module.components import COMPONENT
from statefun_runtime.config.problems import Source
from statefun_runtime.config.reading.fields import Shape
from statefun_runtime.config.yaml.positions import (
    ListNode,
    MapNode,
    Node,
    Scalar,
    ScalarKind,
    compose,
)
from statefun_runtime.connectors.modules import BUILT_IN as KINDS
from statefun_runtime.connectors.modules import load_module
from tests.support.pages import module_schema
from tests.support.provisions import ROOT
from tests.unit.config.module_texts import load_with_rest

SCHEMA = json.loads(module_schema.SCHEMA.read_text())
CHECK = Draft202012Validator(SCHEMA)
CASES = Path(__file__).parent / "problems"


def plain(node: Node) -> Any:
    """Return what an editor makes of a document."""
    match node:
        case MapNode(entries=entries):
            return {name: plain(entry.value) for name, entry in entries.items()}
        case ListNode(items=items):
            return [plain(item) for item in items]
        case Scalar(kind=ScalarKind.NULL):
            return None
        case Scalar(kind=ScalarKind.INTEGER, text=text):
            return int(text)
        case Scalar(kind=ScalarKind.FLOAT, text=text):
            return float(text)
        case Scalar(kind=ScalarKind.BOOLEAN, text=text):
            return text == "true"
        case Scalar(text=text):
            return text
    raise AssertionError(node)


def complaints(text: str) -> list[str]:
    """Return where the schema complains about the documents of a module."""
    documents = [plain(document) for document in compose(Source("m", text)).documents]
    return [error.json_path for document in documents for error in CHECK.iter_errors(document)]


def test_the_schema_is_current():
    assert module_schema.SCHEMA.read_text() == module_schema.text(), "run `make docs`"


def test_the_schema_is_a_schema():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(("name", "shape"), list(module_schema.shapes()))
def test_the_schema_has_the_fields_of_the_loader_and_no_others(name: str, shape: Shape):
    definition = SCHEMA["$defs"][name]
    assert list(definition["properties"]) == list(shape.fields)
    assert definition["additionalProperties"] is False


def test_the_schema_has_the_kinds_of_the_loader_and_no_others():
    component = SCHEMA["then"]
    assert list(component["properties"]) == list(COMPONENT.fields)
    assert component["properties"]["kind"]["anyOf"][0]["enum"] == list(KINDS)
    assert [rule["if"]["properties"]["kind"]["const"] for rule in component["allOf"]] == list(KINDS)


def test_the_schema_has_no_shape_that_the_loader_does_not_have():
    objects = {name for name, each in SCHEMA["$defs"].items() if "additionalProperties" in each}
    assert objects - {"scalars"} == {name for name, _ in module_schema.shapes()}


def test_every_field_is_described():
    undescribed = [
        f"{name}.{field}"
        for name, shape in module_schema.shapes()
        for field in shape.fields
        if "description" not in SCHEMA["$defs"][name]["properties"][field]
    ]
    # What these are is said by the words for the whole.
    assert set(undescribed) <= {
        *(f"{name}.type" for name in ("async", "okhttp", "startupPosition")),
        "okhttp.timeouts",
        "startupPosition.offsets",
        "startupPosition.date",
        "io.statefun.endpoints.v1/http.timeouts",
    }


def test_defaults_are_those_of_the_loader():
    defaults = {
        name: each["default"]
        for name, each in SCHEMA["$defs"]["async"]["properties"].items()
        if "default" in each
    }
    assert defaults == {
        "call": "2min",
        "connect": "20s",
        "pool_ttl": "15s",
        "pool_size": 256,
        "payload_max_bytes": 33_554_432,
    }


@pytest.mark.parametrize(
    "path",
    [
        "module.yaml.example",
        *(str(p.relative_to(ROOT)) for p in ROOT.glob("examples/*/module.yaml")),
    ],
)
def test_the_examples_are_good(path: str):
    assert complaints((ROOT / path).read_text()) == []


GOOD = {
    "legacy": "version: '3.0'\nmodule:\n  spec: {}\n",
    "legacy without quotes": "version: 2.0\nmodule: {}\n",
    "sections alone": "functions:\n  - function:\n    meta: {kind: http, type: a/b}\n",
    "nothing": "---\n---\n",
    "own kind": "kind: my.own/ingress\nspec: {anything: [1, 2]}\n",
    "no values": """kind: io.statefun.endpoints.v2/http
spec: {functions: a/*, urlPathTemplate: "http://x", maxNumBatchRequests: , transport: }
""",
    "quoted numbers": """kind: io.statefun.playground.v1/egress
spec: {port: "8091", topics: [a, 5], cursorTopics: []}
""",
    "placeholders": """kind: io.statefun.kafka.v1/egress
spec:
  id: ${TEAM}/x
  address: ${KAFKA}
  deliverySemantic: {type: "${SEMANTIC}", transactionTimeout: "${T:-5s}"}
""",
    "placeholders for numbers": """kind: io.statefun.endpoints.v1/http
spec: {functions: "${F}", urlPathTemplate: "${U}", maxNumBatchRequests: "${N}", timeouts: {call: "${C}"}}
""",
    "properties for address and group": """kind: io.statefun.kafka.v1/ingress
spec:
  id: a/b
  topics: [{topic: t, valueType: x, targets: [a/b/]}]
  autoOffsetResetPosition: EARLIEST
  startupPosition: {type: specific-offsets, offsets: [{t/0: 5}]}
  properties: [{bootstrap.servers: "k:1", group.id: g}]
""",
    "durations": """kind: io.statefun.endpoints.v2/http
spec:
  functions: a/b
  urlPathTemplate: http://x
  transport: {call: 5, connect: "2 Minutes", pool_ttl: 200ms}
""",
    "okhttp": """kind: io.statefun.endpoints.v2/http
spec:
  functions: a/b
  urlPathTemplate: http://x
  transport: {type: io.statefun.transports.v1/okhttp, timeouts: {call: 90s, read: 1min}}
""",
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_what_the_loader_takes_is_good(text: str):
    assert complaints(text) == []


BAD = {
    "a version without a module": ("version: '3.0'\n", "$"),
    "a version that was never there": ("version: '3.1'\nmodule: {}\n", "$"),
    "a topic without targets and routers": (
        "kind: io.statefun.kafka.v1/ingress\nspec: {id: a/b, address: 'k:1', consumerGroupId: g, "
        "topics: [{topic: t, valueType: x}]}\n",
        "$.spec.topics[0]",
    ),
    "a router to nowhere": (
        "kind: io.statefun.kafka.v1/ingress\nspec: {id: a/b, address: 'k:1', consumerGroupId: g, "
        "topics: [{topic: t, valueType: x, routers: [{target: x, messageType: m, descriptorSet: d}]}]}\n",
        "$.spec.topics[0].routers[0].target",
    ),
    "no kind": ("spec: {}\n", "$"),
    "no spec": ("kind: a/b\n", "$"),
    "a kind that is no typename": ("kind: ingress\nspec: {}\n", "$.kind"),
    "text for spec": ("kind: a/b\nspec: text\n", "$.spec"),
    "a list": ("- a\n", "$"),
    "an unknown field beside spec": ("kind: a/b\nspec: {}\nother: 1\n", "$"),
    "an unknown field": (
        "kind: io.statefun.playground.v1/ingress\nspec: {prt: 5}\n",
        "$.spec",
    ),
    "a port that is too large": (
        "kind: io.statefun.playground.v1/ingress\nspec: {port: 65536}\n",
        "$.spec.port",
    ),
    "a missing field": ("kind: io.statefun.playground.v1/egress\nspec: {port: 1}\n", "$.spec"),
    "a required field without value": (
        "kind: io.statefun.playground.v1/egress\nspec: {port: 1, topics: }\n",
        "$.spec.topics",
    ),
    "a function with two stars": (
        "kind: io.statefun.endpoints.v2/http\nspec: {functions: '*/*', urlPathTemplate: 'http://x'}\n",
        "$.spec.functions",
    ),
    "fields of okhttp in async": (
        "kind: io.statefun.endpoints.v2/http\n"
        "spec: {functions: a/*, urlPathTemplate: 'http://x', transport: {read: 5s}}\n",
        "$.spec.transport",
    ),
    "fields of async in okhttp": (
        "kind: io.statefun.endpoints.v2/http\n"
        "spec: {functions: a/*, urlPathTemplate: 'http://x', transport: "
        "{type: io.statefun.transports.v1/okhttp, pool_size: 5}}\n",
        "$.spec.transport",
    ),
    "a certificate without a key": (
        "kind: io.statefun.endpoints.v2/http\n"
        "spec: {functions: a/*, urlPathTemplate: 'http://x', transport: {client_cert: x}}\n",
        "$.spec.transport",
    ),
    "a duration in fortnights": (
        "kind: io.statefun.endpoints.v2/http\n"
        "spec: {functions: a/*, urlPathTemplate: 'http://x', transport: {call: 1 fortnight}}\n",
        "$.spec.transport.call",
    ),
    "quotes where they may not be": (
        "kind: io.statefun.endpoints.v1/http\n"
        "spec: {functions: a/*, urlPathTemplate: 'http://x', maxNumBatchRequests: '5'}\n",
        "$.spec.maxNumBatchRequests",
    ),
    "an egress without address": ("kind: io.statefun.kafka.v1/egress\nspec: {id: a/b}\n", "$.spec"),
    "an unknown semantic": (
        "kind: io.statefun.kafka.v1/egress\n"
        "spec: {id: a/b, address: 'k:1', deliverySemantic: {type: exactly_once}}\n",
        "$.spec.deliverySemantic.type",
    ),
    "exactly-once without a timeout": (
        "kind: io.statefun.kafka.v1/egress\n"
        "spec: {id: a/b, address: 'k:1', deliverySemantic: {type: exactly-once}}\n",
        "$.spec.deliverySemantic",
    ),
    "an ingress without topics": (
        "kind: io.statefun.kafka.v1/ingress\n"
        "spec: {id: a/b, address: 'k:1', consumerGroupId: g, topics: []}\n",
        "$.spec.topics",
    ),
    "a target that is no typename": (
        "kind: io.statefun.kafka.v1/ingress\nspec: {id: a/b, address: 'k:1', consumerGroupId: g, "
        "topics: [{topic: t, valueType: x, targets: [greeter]}]}\n",
        "$.spec.topics[0].targets[0]",
    ),
    "a number for valueType": (
        "kind: io.statefun.kafka.v1/ingress\nspec: {id: a/b, address: 'k:1', consumerGroupId: g, "
        "topics: [{topic: t, valueType: 5, targets: [a/b]}]}\n",
        "$.spec.topics[0].valueType",
    ),
    "a date without a date": (
        "kind: io.statefun.kafka.v1/ingress\nspec: {id: a/b, address: 'k:1', consumerGroupId: g, "
        "topics: [{topic: t, valueType: x, targets: [a/b]}], startupPosition: {type: date}}\n",
        "$.spec.startupPosition",
    ),
    "dead letters without a place": (
        "kind: io.statefun.endpoints.v2/http\n"
        "spec: {functions: a/*, urlPathTemplate: 'http://x', onFailure: dead-letter}\n",
        "$.spec",
    ),
}


@pytest.mark.parametrize(("text", "where"), BAD.values(), ids=BAD)
def test_what_the_loader_refuses_is_bad(text: str, where: str):
    assert where in complaints(text)
    if not text.startswith("kind: a/b"):
        assert load_with_rest(text).problems


def modules() -> list[Any]:
    """Return every module whose problems are printed in another test."""
    found = []
    for path in sorted(CASES.glob("*.txt")):
        for block in re.split(r"^## ", path.read_text(), flags=re.M)[1:]:
            sentence, body = block.split("\n", 1)
            found.append(pytest.param(body.split(">>>\n")[0], id=f"{path.stem}: {sentence}"))
    return found


@pytest.mark.parametrize("text", modules())
def test_the_schema_complains_about_nothing_that_the_loader_takes_without_a_word(text: str):
    if not complaints(text):
        return
    assert load_with_rest(text).problems


def test_an_editor_that_finds_the_schema_by_its_name_in_a_comment_takes_the_file():
    text = "# yaml-language-server: $schema=module.schema.json\n"
    loaded = load_module(str(ROOT / "module.yaml.example"))
    assert [p for p in loaded.problems if p.severity is Severity.ERROR] == []
    assert complaints(text + (ROOT / "module.yaml.example").read_text()) == []
