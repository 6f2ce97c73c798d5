"""What `validate` says in each of its formats."""

import json
import re

import pytest

from statefun_runtime.config import LoadedModule
from statefun_runtime.config.module.reports import Check, Report, report_lines
from statefun_runtime.connectors.modules import parse_module
from tests.unit.config.module_texts import load, load_with_rest

WARNED = """kind: io.statefun.kafka.v1/egress
spec:
  id: shop.io/receipts
  address: kafka:9092
  colour: 100%
"""
BAD = WARNED.replace("kafka:9092", "kafka").replace("receipts", "receipts:a,b")
CHECKS = (
    Check("Kafka kafka:9092", True, "answers, 3 brokers"),
    Check("endpoint shop.fns/*", False, "cannot connect to shop:8000: refused", "start it"),
)


def said(report: Report, form: str = "text") -> str:
    return "\n".join(report_lines(report, form))


def test_a_good_application_is_one_line():
    assert (
        said(Report(load_with_rest(""))) == "module.yaml: good: 1 endpoint, 1 ingress, 0 egresses"
    )


def test_problems_and_remarks_come_before_the_verdict():
    assert (
        said(Report(load_with_rest(BAD), ["--set x has no effect: none"]))
        == """\
warning: --set x has no effect: none

module.yaml:4:12: 'kafka' is not of the form 'host:port' [SF1010]
    4 |   address: kafka
                   ^
hint: write it like kafka-1:9092,kafka-2:9092

module.yaml:5:3: warning: unknown field 'colour' in Kafka egress 'shop.io/receipts:a,b' [SF1020]
    5 |   colour: 100%
          ^

module.yaml: bad: 1 error (statefun-worker explain SF1010 SF1020)"""
    )


def test_checks_have_a_line_each():
    assert (
        said(Report(load_with_rest(""), checks=CHECKS))
        == """\
good    Kafka kafka:9092: answers, 3 brokers
failed  endpoint shop.fns/*: cannot connect to shop:8000: refused
        hint: start it
module.yaml: good, but 1 of 2 checks outside failed"""
    )


def test_json_holds_everything():
    document = json.loads(said(Report(load_with_rest(WARNED), ["remark"], CHECKS), "json"))

    assert document == {
        "files": ["module.yaml"],
        "good": True,
        "problems": [
            {
                "file": "module.yaml",
                "line": 5,
                "column": 3,
                "severity": "warning",
                "code": "SF1020",
                "message": "unknown field 'colour' in Kafka egress 'shop.io/receipts'",
                "hint": None,
                "source_line": "  colour: 100%",
            }
        ],
        "remarks": ["remark"],
        "contents": {"endpoints": 1, "ingresses": 1, "egresses": 1},
        "checks": [
            {
                "subject": "Kafka kafka:9092",
                "is_good": True,
                "found": "answers, 3 brokers",
                "hint": None,
            },
            {
                "subject": "endpoint shop.fns/*",
                "is_good": False,
                "found": "cannot connect to shop:8000: refused",
                "hint": "start it",
            },
        ],
    }


def test_json_without_a_spec_has_no_contents():
    document = json.loads(said(Report(load(BAD)), "json"))
    assert document["good"] is False
    assert "contents" not in document
    assert "checks" not in document


def test_github_gets_workflow_commands():
    report = Report(load_with_rest(BAD), ["a remark"], CHECKS)
    assert said(report, "github") == (
        "::warning::a remark\n"
        "::error file=module.yaml,line=4,col=12,title=SF1010::'kafka' is not of the form 'host:port'"
        "%0Ahint: write it like kafka-1:9092,kafka-2:9092\n"
        "::warning file=module.yaml,line=5,col=3,title=SF1020::"
        "unknown field 'colour' in Kafka egress 'shop.io/receipts:a,b'\n"
        "::error title=connect::endpoint shop.fns/*: cannot connect to shop:8000: refused\n"
        "module.yaml: bad: 1 error (statefun-worker explain SF1010 SF1020)"
    )


@pytest.mark.parametrize("name", ["a,b:c.yaml", "100%.yaml", "::error::x\n::set-env::y"])
def test_no_text_of_a_file_can_begin_a_workflow_command(name: str):
    def loaded() -> LoadedModule:
        return parse_module(b'kind: a/b\n"::error::x\\n::stop::y%": 1\n', file=name)

    lines = said(Report(loaded()), "github").split("\n")
    for line in lines[:-1]:
        assert re.match("::(error|warning) file=", line)
        properties, _, message = line[2:].partition("::")
        assert properties.count(",") == 3
        assert properties.count(":") == 0
        assert "\n" not in message
    assert not lines[-1].startswith("::")


def test_an_escaped_text_is_what_github_makes_of_it():
    (line, *_) = report_lines(Report(parse_module(b"a%: 1\r\n", file="100%,x.yaml")), "github")
    assert "file=100%25%2Cx.yaml,line=1,col=1" in line
