"""What stands in a module as `${…}` is filled in, and is never shown."""

import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statefun_runtime.config import LoadedModule, render
from statefun_runtime.config.reading.placeholders import Malformed, Placeholder, pieces
from statefun_runtime.config.reading.secrets import Mask, MaskedStream, Secret, reveal
from statefun_runtime.connectors.kafka.settings.values import DeliverySemantic, SpecificOffsets
from statefun_runtime.connectors.kafka.specs import KafkaEgressSpec, KafkaIngressSpec
from statefun_runtime.connectors.modules import BUILT_IN as KINDS
from statefun_runtime.connectors.modules import parse_module
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.specs import AsyncTransport
from tests.support.provisions import ROOT
from tests.unit.config.module_texts import REST

ENDPOINT = """kind: io.statefun.endpoints.v2/http
spec:
  functions: shop.fns/*
  urlPathTemplate: http://shop:8000/{function.name}
  maxNumBatchRequests: 5
  transport:
    type: io.statefun.transports.v1/async
    call: 90s
    pool_size: 7
"""
OKHTTP = """kind: io.statefun.endpoints.v2/http
spec:
  functions: shop.fns/*
  urlPathTemplate: http://shop:8000/statefun
  onFailure: dead-letter
  deadLetters:
    egress: a/nowhere
    topic: lost
  transport:
    type: io.statefun.transports.v1/okhttp
    timeouts:
      call: 90s
      connect: 5s
      read: 20s
"""
INGRESS = """kind: io.statefun.kafka.v1/ingress
spec:
  id: shop.io/orders
  address: kafka:9092
  consumerGroupId: shop
  topics:
    - topic: orders
      valueType: shop.types/Order
      targets: [shop.fns/order]
  autoOffsetResetPosition: earliest
  startupPosition:
    type: specific-offsets
    offsets:
      - orders/0: 17
"""
EGRESS = """kind: io.statefun.kafka.v1/egress
spec:
  id: shop.io/receipts
  address: kafka:9092
  deliverySemantic:
    type: exactly-once
    transactionTimeout: 1min
  properties:
    - sasl.jaas.config: none
"""


def load(text: str, **variables: str) -> LoadedModule:
    """Load components, to which an endpoint and an ingress without problems are added."""
    content = (text.rstrip("\n") + REST).encode()
    return parse_module(content, file="module.yaml", variables=variables)


def egress(text: str, **variables: str) -> KafkaEgressSpec:
    (spec,) = load(text, **variables).required().egresses
    assert isinstance(spec, KafkaEgressSpec)
    return spec


def printed(text: str, **variables: str) -> str:
    return render(load(text, **variables).problems)


# ── what is filled in ──


def test_a_placeholder_stands_for_the_value_of_a_variable():
    text = EGRESS.replace("kafka:9092", "${KAFKA}")
    assert egress(text, KAFKA="broker:9092").bootstrap_servers == "broker:9092"


def test_several_placeholders_may_stand_in_one_text():
    text = EGRESS.replace("kafka:9092", "${A}:${PORT},${B}:${PORT}")
    spec = egress(text, A="k-1", B="k-2", PORT="9092")
    assert spec.bootstrap_servers == "k-1:9092,k-2:9092"


def test_a_default_stands_for_a_variable_that_is_not_set_or_empty():
    text = EGRESS.replace("kafka:9092", "${KAFKA:-local:9092}")
    assert egress(text).bootstrap_servers == "local:9092"
    assert egress(text, KAFKA="").bootstrap_servers == "local:9092"
    assert egress(text, KAFKA="broker:9092").bootstrap_servers == "broker:9092"


def test_a_value_is_read_as_if_it_stood_in_the_file():
    text = ENDPOINT.replace("5\n", "${MAX}\n").replace("90s", "${CALL}")
    text = text.replace("pool_size: 7", "pool_size: '${POOL}'").replace("shop.fns/*", "${FNS}/*")

    (spec, _) = load(text, MAX="-1", CALL="2 min", POOL="12", FNS="shop.fns").required().endpoints

    assert spec.batch_threshold == -1
    assert spec.transport == AsyncTransport(call_s=120.0, pool_size=12)
    assert str(spec.pattern) == "shop.fns/*"


def test_a_number_is_one_without_quotes_only_as_in_the_file():
    text = ENDPOINT.replace("v2", "v1").split("  transport")[0]
    assert (
        load(text.replace("5\n", "${MAX}\n"), MAX="9").required().endpoints[0].batch_threshold == 9
    )
    assert "found the value of '${MAX}'" in printed(text.replace("5\n", "'${MAX}'\n"), MAX="9")


def test_a_field_whose_value_is_empty_counts_as_left_out():
    text = ENDPOINT.replace("5\n", "${MAX:-}\n")
    assert load(text).required().endpoints[0].batch_threshold == 1000


def test_every_part_of_an_ingress_may_come_from_outside():
    text = INGRESS
    values = {
        "ID": "shop.io/orders", "KAFKA": "kafka:9092", "GROUP": "shop", "TOPIC": "orders",
        "TYPE": "shop.types/Order", "TARGET": "rest.fns/order", "RESET": "earliest",
        "START": "specific-offsets", "OFFSET": "17",
    }  # fmt: skip
    text = """kind: io.statefun.kafka.v1/ingress
spec:
  id: ${ID}
  address: ${KAFKA}
  consumerGroupId: ${GROUP}
  topics:
    - topic: ${TOPIC}
      valueType: ${TYPE}
      targets: ["${TARGET}"]
  autoOffsetResetPosition: ${RESET}
  startupPosition:
    type: ${START}
    offsets:
      - orders/0: ${OFFSET}
"""
    loaded = load(text, **values)
    spec = loaded.required().ingresses[0]

    assert loaded.problems == ()
    assert isinstance(spec, KafkaIngressSpec)
    assert spec.id == TypeName("shop.io", "orders")
    assert spec.routes[0].targets == (TypeName("rest.fns", "order"),)
    assert spec.startup == SpecificOffsets((("orders", 0, 17),))
    # What is used from here on is a plain text, which prints as what it is.
    texts = [spec.bootstrap_servers, spec.group_id, spec.routes[0].topic, str(spec.id)]
    texts += [spec.routes[0].value_type, spec.id.name, spec.routes[0].targets[0].name]
    assert {type(each) for each in texts} == {str}
    assert f"{spec.bootstrap_servers} {spec.id}" == "kafka:9092 shop.io/orders"


def test_a_file_of_secrets_is_read_without_the_line_break_at_its_end(tmp_path: Path):
    (tmp_path / "jaas").write_text("user=me password=pa$$ \n")
    for written in (str(tmp_path / "jaas"), (tmp_path / "jaas").as_uri()):
        text = EGRESS.replace("config: none", f"config: ${{file:{written}}}")
        assert egress(text).properties == (("sasl.jaas.config", "user=me password=pa$$ "),)


def test_a_file_of_secrets_is_looked_up_beside_the_module(tmp_path: Path):
    (tmp_path / "jaas").write_bytes(b"text\r\n")
    text = EGRESS.replace("config: none", "config: ${file:jaas}") + REST
    loaded = parse_module(text.encode(), file=str(tmp_path / "module.yaml"))
    (spec,) = loaded.required().egresses
    assert isinstance(spec, KafkaEgressSpec)
    assert spec.properties == (("sasl.jaas.config", "text"),)


def test_a_default_stands_for_a_file_that_is_not_there():
    text = EGRESS.replace("config: none", "config: ${file:/nowhere/jaas:-plain}")
    assert egress(text).properties == (("sasl.jaas.config", "plain"),)


def test_a_value_may_hold_what_looks_like_a_placeholder():
    text = EGRESS.replace("config: none", "config: ${JAAS}")
    assert egress(text, JAAS="${NOT_ME}").properties == (("sasl.jaas.config", "${NOT_ME}"),)


def test_a_doubled_dollar_is_the_text_itself():
    text = EGRESS.replace("config: none", "config: $${HOME} $5 $$ {x}")
    assert egress(text).properties == (("sasl.jaas.config", "${HOME} $5 $$ {x}"),)


def test_kinds_keys_and_function_names_are_left_alone():
    text = ENDPOINT.replace("http://shop", "${SCHEME}://shop")
    (spec, _) = load(text, SCHEME="https").required().endpoints
    assert spec.url_template == "https://shop:8000/{function.name}"
    assert "unknown field '${KEY}'" in printed(ENDPOINT + "  ${KEY}: 1\n", KEY="maxNum")
    assert "${KIND}" in printed("kind: ${KIND}\nspec: {}\n", KIND="io.statefun.endpoints.v2/http")


def test_an_alias_repeats_the_value():
    text = EGRESS.replace("address: kafka:9092", "address: &a ${KAFKA}")
    text = text.replace("config: none", "config: *a")
    spec = egress(text, KAFKA="k:1")
    assert (spec.bootstrap_servers, spec.properties) == ("k:1", (("sasl.jaas.config", "k:1"),))


_VALUE = re.compile(
    r"^(?P<head>\s*(?:- )?(?:(?!kind:)[\w.]+: +)?)(?P<value>[^\s\[\]{}#'\"&*][^#]*?)(?P<tail>\s*(?:#.*)?)$"
)


def placeholder_cases() -> Iterator[tuple[int, str, str]]:
    """Return each line of the example that has a value, the value, and the line with a placeholder instead."""
    lines = (ROOT / "module.yaml.example").read_text().splitlines()
    for number, line in enumerate(lines):
        match = _VALUE.match(line)
        if match is None or not match["head"].strip():
            continue
        if not match["value"].endswith(":") and ": " not in match["value"]:
            yield number, match["value"], f"{match['head']}${{V{number}}}{match['tail']}"


def test_every_value_of_the_example_may_come_from_outside():
    original = (ROOT / "module.yaml.example").read_text()
    expected = parse_module(original.encode(), file="module.yaml")
    lines = original.splitlines()
    variables = {}
    for number, value, line in placeholder_cases():
        lines[number] = line
        variables[f"V{number}"] = value

    filled = parse_module("\n".join(lines).encode(), file="module.yaml", variables=variables)

    assert len(variables) > 60
    assert filled.problems == ()
    assert filled.spec == expected.spec
    assert repr(filled.spec) == repr(expected.spec)


# ── what cannot be filled in ──


def test_everything_that_has_no_value_is_told_at_once_and_nothing_because_of_it():
    text = EGRESS.replace("kafka:9092", "${KAFKA_HOST}:${KAFKA_PORT}").replace("1min", "${TIME")
    text = (
        text.replace("shop.io/receipts", "${TEAM}")
        + "---\n"
        + INGRESS.replace("shop.fns/order", '"${TARGET}"')
    )
    assert (
        printed(text, TEAMS="x")
        == """\
module.yaml:3:7: ${TEAM} has no value: TEAM is not set [SF1071]
    3 |   id: ${TEAM}
              ^
hint: did you mean 'TEAMS'?

module.yaml:4:12: ${KAFKA_HOST} has no value: KAFKA_HOST is not set [SF1071]
    4 |   address: ${KAFKA_HOST}:${KAFKA_PORT}
                   ^
hint: set it in the environment or with --set KAFKA_HOST=VALUE, or give a default: ${KAFKA_HOST:-VALUE}

module.yaml:4:26: ${KAFKA_PORT} has no value: KAFKA_PORT is not set [SF1071]
    4 |   address: ${KAFKA_HOST}:${KAFKA_PORT}
                                 ^
hint: set it in the environment or with --set KAFKA_PORT=VALUE, or give a default: ${KAFKA_PORT:-VALUE}

module.yaml:7:25: '${TIME' is not a placeholder [SF1072]
    7 |     transactionTimeout: ${TIME
                                ^
hint: write ${NAME}, ${NAME:-default} or ${file:PATH}; $${ is the text ${

module.yaml:9:7: warning: property 'sasl.jaas.config' has no effect without SASL in 'security.protocol' [SF1027]
    9 |     - sasl.jaas.config: ***
              ^

module.yaml:19:18: ${TARGET} has no value: TARGET is not set [SF1071]
   19 |       targets: ["${TARGET}"]
                         ^
hint: set it in the environment or with --set TARGET=VALUE, or give a default: ${TARGET:-VALUE}"""
    )


@pytest.mark.parametrize(
    "text", ["${}", "${", "${:-x}", "${9}", "${a b}", "${A:-${B}}", "${file:}"]
)
def test_what_is_no_placeholder_is_refused(text: str):
    assert "is not a placeholder" in printed(EGRESS.replace("config: none", f"config: '{text}'"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no such file or directory"),
        (b"\xff", "it is not UTF-8"),
        (b"x" * 65_537, "it has more than 65,536 bytes"),
    ],
)
def test_a_file_of_secrets_that_cannot_be_read_is_an_error(
    tmp_path: Path, content: bytes | None, reason: str
):
    path = tmp_path / "jaas"
    if content is not None:
        path.write_bytes(content)
    text = EGRESS.replace("config: none", f"config: ${{file:{path}}}")
    assert printed(text).startswith(
        f"module.yaml:9:25: ${{file:{path}}}: the file cannot be read: {reason} [SF1073]\n"
    )


def test_a_value_that_is_not_utf_8_is_refused():
    bad = os.fsdecode(b"\xff")
    text = EGRESS.replace("config: none", "config: ${JAAS}")
    assert "the value of ${JAAS} is not UTF-8" in printed(text, JAAS=bad)


def test_the_names_that_placeholders_have_are_known():
    text = EGRESS.replace("config: none", "config: ${A}${B:-}$${C}${file:/nowhere:-}")
    assert load(text, A="a").variables_used == {"A", "B"}


# ── what is never shown ──

VALUE = "hunter2 pass/word:x/"


def scalar_cases() -> Iterator[object]:
    """Each scalar of modules that use every reader, replaced by a placeholder with a value that is wrong there."""
    for module in (
        ENDPOINT,
        OKHTTP,
        ENDPOINT.replace("async", "okhttp"),
        ENDPOINT.replace("v2", "v1"),
        INGRESS,
        EGRESS,
    ):
        for number, line in enumerate(module.splitlines()):
            key, colon, value = line.partition(": ")
            if colon and value and key != "kind":
                quoted = value.startswith("[")
                placeholder = '["${SECRET}"]' if quoted else "${SECRET}"
                lines = module.splitlines()
                lines[number] = f"{key}: {placeholder}"
                yield pytest.param("\n".join(lines), id=f"{module.split()[1]} {key.strip()}")
    playground = "kind: io.statefun.playground.v1/{}\nspec:\n  port: ${{SECRET}}\n  topics: [a]\n"
    yield pytest.param(playground.format("ingress"), id="playground ingress")
    yield pytest.param(playground.format("egress"), id="playground egress")


# Two values of which a reader makes the same.
PAIRS = [
    (VALUE, VALUE.replace("hunter2", "another")),
    ("0", "00"),
    ("-1", "-2"),
    ("", ""),
    ("7s", "8s"),
    ("91s", "92s"),
    ("99999", "99998"),
    ("5 parsecs", "5 furlongs"),
    ("a/b/c", "d/e/f"),
    ("a/b", "c/d"),
    ("http+unix://hunter2/x", "http+unix://another/x"),
    ("http://hunter2:8000/x y", "http://another:8000/x|y"),
    ("1e9", "2e9"),
    ("true", "false"),
]


@pytest.mark.parametrize(("value", "other"), PAIRS)
@pytest.mark.parametrize("text", list(scalar_cases()))
def test_no_reader_shows_a_value(text: str, value: str, other: str):
    told = render(load(text, SECRET=value).problems)

    assert "hunter2" not in told
    assert told == render(load(text, SECRET=other).problems)


def test_a_wrong_value_is_called_what_stands_in_the_file():
    text = ENDPOINT.replace("pool_size: 7", "pool_size: ${POOL}").replace("90s", "${CALL}")
    text = text.replace("http://shop:8000/{function.name}", "${URL}").replace(
        "shop.fns/*", "${FNS}"
    )
    assert (
        printed(text, POOL="0", CALL="5 parsecs", URL="ftp://me:pw@x", FNS="a/b/c")
        == """\
module.yaml:3:14: functions '${FNS}' is not of the form 'namespace/name' or 'namespace/*' [SF1011]
    3 |   functions: ${FNS}
                     ^

module.yaml:4:20: urlPathTemplate '${URL}' does not begin with http:// or https:// [SF1013]
    4 |   urlPathTemplate: ${URL}
                           ^
hint: write it like http://functions:8000/statefun; {function.name} stands for the name

module.yaml:8:11: call: duration '${CALL}' has the unknown unit '${CALL}' [SF1012]
    8 |     call: ${CALL}
                  ^
hint: write a whole number and a unit (d, h, min, s, ms, µs, ns), such as 90s or 200ms

module.yaml:9:16: 'pool_size' must be a whole number from 1 to 2147483647, found the value of '${POOL}' [SF1010]
    9 |     pool_size: ${POOL}
                       ^"""
    )


def test_what_is_defined_twice_is_called_what_stands_in_the_file():
    text = EGRESS.replace("shop.io/receipts", "${TEAM}/receipts")
    told = printed(f"{text}---\n{text}---\n{INGRESS}", TEAM="hunter2")
    assert "egress id '${TEAM}/receipts' is defined twice; first at module.yaml:3:7" in told
    assert "hunter2" not in told


def test_targets_and_patterns_are_called_what_stands_in_the_file():
    text = ENDPOINT.replace("shop.fns/*", "${TEAM}.fns/*") + "---\n" + INGRESS
    told = printed(text.replace("[shop.fns/order]", '["${TEAM}.fnz/order"]'), TEAM="hunter2")
    assert "no endpoint serves the target '${TEAM}.fnz/order'" in told
    assert "endpoints serve ${TEAM}.fns/*, rest.fns/*" in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (ENDPOINT, "shop.fns/*"),
        (INGRESS, "shop.io/orders"),
        (INGRESS, "shop.fns/order"),
        (INGRESS, "topic: orders"),
        (EGRESS, "shop.io/receipts"),
    ],
)
def test_a_name_may_not_come_from_a_file_of_secrets(tmp_path: Path, text: str, name: str):
    key, colon, value = name.rpartition(": ")
    (tmp_path / "secret").write_text(value)
    placeholder = f"'${{file:{tmp_path}/secret}}'"
    told = printed(text.replace(name, f"{key}{colon}{placeholder}"))
    assert f"{placeholder} is a name, and cannot come from a file of secrets" in told


def test_a_default_is_no_secret():
    text = ENDPOINT.replace("pool_size: 7", "pool_size: ${POOL:-0}")
    loaded = load(text)
    assert "a whole number from 1 to 2147483647, found 0" in render(loaded.problems)
    assert loaded.secrets == ()


def test_what_is_printed_later_is_masked():
    text = EGRESS.replace("kafka:9092", "${HOST}:9092").replace(
        "config: none", "config: 'pw=${PW};'"
    )
    loaded = load(text, HOST="broker-1", PW='hun"ter\n2é')
    mask = Mask(loaded.secrets)

    assert mask.apply("cannot reach broker-1:9092, or broker-1") == (
        "cannot reach ${HOST}:9092, or ${HOST}"
    )
    assert mask.apply("broker-11 and my-broker-1") == "broker-11 and my-${HOST}"
    assert mask.apply(repr({"x": 'pw=hun"ter\n2é;'})) == "{'x': 'pw=${PW};'}"
    assert 'hun"ter\n2é' not in mask.apply('the password hun"ter\n2é is wrong')


def test_a_value_that_is_very_short_is_masked_in_quotes_only():
    mask = Mask([("80", "${PORT}"), ("", "${X}")])
    assert mask.apply("port 80 is no number: '80', ''") == "port 80 is no number: '${PORT}', ''"


def test_the_longest_value_is_masked_first():
    mask = Mask([("kafka", "${A}"), ("kafka:9092", "${B}")])
    assert mask.apply("kafka kafka:9092") == "${A} ${B}"


def test_the_servers_of_an_address_are_masked_one_by_one():
    mask = Mask(
        [("kafka-1:9092, kafka-2:9093", "${KAFKA}"), ("https://me:hunter2@fns.example/x", "${URL}")]
    )
    assert mask.apply("kafka-1:9092 kafka-2 me:hunter2 fns.example:443 others") == (
        "${KAFKA} ${KAFKA} me:${URL} ${URL}:443 others"
    )


def test_this_machine_is_no_secret():
    mask = Mask([("http://127.0.0.1:9/hidden", "${URL}"), ("localhost:9092", "${KAFKA}")])
    assert mask.apply("127.0.0.1 localhost http://127.0.0.1:9/hidden") == (
        "127.0.0.1 localhost ${URL}"
    )


def test_what_is_no_address_is_masked_as_a_whole_only():
    jaas = "org.apache.PlainLoginModule required username=a:b password=c:9"
    assert Mask([(jaas, "${JAAS}")]).apply("required username=a:b") == "required username=a:b"


def test_what_goes_through_a_masked_stream_is_masked(capsys: pytest.CaptureFixture[str]):
    stream = MaskedStream(sys.stdout, Mask([("hunter2", "${PW}")]))
    handler = logging.StreamHandler(stream)
    handler.emit(logging.LogRecord("x", 20, "", 1, "pw %r", ("hunter2",), None))
    print("url: http://me:hunter2@x", file=stream, flush=True)
    assert capsys.readouterr().out == "pw '${PW}'\nurl: http://me:${PW}@x\n"


@given(st.text(alphabet="ab/:, .x*"), st.sampled_from(["${X}", "p-${X}"]))
def test_what_is_cut_from_a_secret_is_as_secret(value: str, written: str):
    secret = Secret(value, written)
    parts: list[str] = [secret.strip(), secret.lower(), secret[1:], secret + "b", "b" + secret]
    parts += [*secret.split("/"), *secret.partition(":"), secret.removeprefix("a"), secret.upper()]
    parts += [
        secret.replace("a", "b"),
        *secret.rpartition("/"),
        *secret.splitlines(),
        secret.casefold(),
    ]
    for part in parts:
        assert (repr(part), f"{part}", str(part)) == (repr(written), written, written)
    assert secret == value
    assert hash(secret) == hash(value)
    assert reveal((secret, {"k": [secret]})) == (value, {"k": [value]})
    assert type(reveal(secret)) is str
    assert reveal(KINDS) is KINDS


@given(st.text(alphabet="${}:-aA_ f"))
def test_pieces_add_up_to_the_text(text: str):
    try:
        parts = list(pieces(text))
    except Malformed:
        assert "${" in text
        return
    whole = "".join(
        p.written if isinstance(p, Placeholder) else p.replace("${", "$${") for p in parts
    )
    assert whole == text


def test_exactly_once_may_come_from_outside():
    text = EGRESS.replace("exactly-once", "${DELIVERY}").replace("1min", "${TIMEOUT}")
    spec = egress(text, DELIVERY="exactly-once", TIMEOUT="90s")
    assert spec.delivery is DeliverySemantic.EXACTLY_ONCE
    assert spec.transaction_timeout_ms == 90_000
