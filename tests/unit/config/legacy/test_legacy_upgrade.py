"""`statefun-worker module upgrade`: the same application, in today's format, with its comments."""

import re
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_legacy_modules import ROUTED, SNIPPET, VERSION_2, VERSION_3

from statefun_runtime.cli import main
from statefun_runtime.config import LoadedModule, render
from statefun_runtime.config.legacy.upgrade import upgrade_text
from statefun_runtime.connectors.modules import parse_module
from tests.unit.config.module_texts import REST

EXAMPLE = (Path(__file__).parents[4] / "module.yaml.example").read_text()
ENDPOINT_V1 = """kind: io.statefun.endpoints.v1/http
spec:
  functions: bank.fns/*
  urlPathTemplate: http://bank:8000/statefun
"""


def load(text: str) -> LoadedModule:
    return parse_module(text.encode(), file="module.yaml")


def test_a_module_of_version_2_is_written_like_this():
    assert (
        upgrade_text(VERSION_2)
        == """\
kind: io.statefun.endpoints.v2/http
spec:
  functions: bank.fns/account
  urlPathTemplate: http://bank:8000/statefun
  maxNumBatchRequests: 100
  transport:
    type: io.statefun.transports.v1/okhttp
    timeouts:
      call: 2min
      connect: 3s
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: bank.fns/audit
  urlPathTemplate: http://audit:8000/statefun
  transport:
    type: io.statefun.transports.v1/okhttp
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: bank.io/transfers
  address: kafka:9092
  consumerGroupId: bank
  topics:
    - topic: transfers
      valueType: types.example/bank.Transfer
      targets:
        - bank.fns/account
        - bank.fns/audit
---
kind: io.statefun.kafka.v1/egress
spec:
  id: bank.io/receipts
  address: kafka:9092
"""
    )


OTHER = ROUTED.replace("transfers", "x").replace("bank.fns/account", "bank.fns/other")
MODULES = {
    "version 3.0": VERSION_3,
    "version 2.0": VERSION_2,
    "routers": ROUTED,
    "the snippet": f"{SNIPPET}{REST}",
    "an old endpoint": f"{ENDPOINT_V1}  timeouts: {{call: 3min, read: 5s}}{REST}",
    "an old endpoint that names a transport": f"{ENDPOINT_V1}  transport: {{call: 3s}}{REST}",
    "an old endpoint that has headers": f"{ENDPOINT_V1}  headers: {{x-team: bank}}{REST}",
    "the example": EXAMPLE,
    "aliases": VERSION_3.replace("topic: transfers", "topic: &t transfers").replace(
        "valueType: bank.types/Transfer", "valueType: *t"
    ),
    "both spellings of a timeout": VERSION_3.rstrip("\n")
    + "\n              transactionTimeout: 1h\n",
    "documents of all formats": f"{VERSION_3}---\n{SNIPPET}---\n{OTHER}",
}


@pytest.mark.parametrize("text", MODULES.values(), ids=MODULES)
def test_an_upgraded_module_means_the_same_and_stays_as_it_is(text: str):
    upgraded = upgrade_text(text)
    before, after = load(text), load(upgraded)

    assert after.spec is not None, render(after.problems)
    assert after.spec == before.spec
    assert not any(old in upgraded for old in ("version:", "endpoints.v1/http", "TimeoutMillis:"))
    assert upgrade_text(upgraded) == upgraded


def test_a_module_in_todays_format_is_printed_as_it_is():
    text = "# mine\r\n---\r\n" + EXAMPLE.replace("endpoints.v1/http", "endpoints.v2/http")
    assert upgrade_text(text) == text


@pytest.mark.parametrize(
    ("millis", "duration"),
    [("7200000", "2h"), ("'900000'", "15min"), ("100000", "100s"), ("1001", "1001ms")],
)
def test_milliseconds_become_durations(millis: str, duration: str):
    text = VERSION_3.replace("100000", millis)
    assert f"    transactionTimeout: {duration}\n" in upgrade_text(text)


def test_comments_stay_above_and_behind_what_they_stand_at():
    text = """\
# The bank.

version: "2.0"  # as of 2020
module:
  meta:
    type: remote
  spec:
    # Where money moves.
    functions:
      # One per account.
      - function:
          meta:
            kind: http
            type: bank.fns/account  # by number
          # Behind the balancer.
          spec:
            # Not https yet.
            endpoint: http://bank:8000/statefun#a   # no comment: the first sign
            # Slow at night.
            timeout: 2min


            # Was 100.
            maxNumBatchRequests: 50
    ingresses:
      - ingress: # in
          meta:
            type: statefun.kafka.io/routable-protobuf-ingress
            # Known to the dashboards.
            id: bank.io/transfers
          spec:
            address: kafka:9092
            consumerGroupId: "# bank"
            topics:
              # All of them.
              - topic: transfers
                typeUrl: types.example/bank.Transfer # old name
                targets:
                  # First the account,
                  - bank.fns/account
                  - bank.fns/audit # then the books
# The end.
"""
    assert (
        upgrade_text(text)
        == """\
# The bank.

# as of 2020
# Where money moves.
# One per account.
kind: io.statefun.endpoints.v2/http
# Behind the balancer.
spec:
  functions: bank.fns/account  # by number
  # Not https yet.
  urlPathTemplate: http://bank:8000/statefun#a  # no comment: the first sign

  # Was 100.
  maxNumBatchRequests: 50
  transport:
    type: io.statefun.transports.v1/okhttp
    timeouts:
      # Slow at night.
      call: 2min
---
# in
kind: io.statefun.kafka.v1/ingress
spec:
  # Known to the dashboards.
  id: bank.io/transfers
  address: kafka:9092
  consumerGroupId: '# bank'
  topics:
    # All of them.
    - topic: transfers
      valueType: types.example/bank.Transfer  # old name
      targets:
        # First the account,
        - bank.fns/account
        - bank.fns/audit  # then the books
# The end.
"""
    )


def test_the_comment_in_front_of_a_block_of_text_is_kept():
    text = VERSION_3.replace(
        "address: kafka:9092", "address: >-  # ours\n              kafka:9092", 1
    )
    assert "  address: kafka:9092  # ours\n" in upgrade_text(text)


@given(
    st.sampled_from([VERSION_3, VERSION_2, ROUTED, SNIPPET, ENDPOINT_V1]),
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from(["", "  ", "        "])), max_size=8),
    st.sets(st.integers(0, 60), max_size=8),
)
@settings(max_examples=150)
def test_no_comment_is_lost_and_none_changes_a_value(
    text: str, alone: list[tuple[int, str]], behind: set[int]
):
    lines = text.splitlines()
    comments = []
    for at in behind:
        comments.append(f"#behind-{at}-")
        lines[at % len(lines)] += f" {comments[-1]}"
    for number, (at, indentation) in enumerate(alone):
        comments.append(f"#alone-{number}-")
        lines.insert(at % len(lines), f"{indentation}{comments[-1]}")
    upgraded = upgrade_text("\n".join(lines))

    assert sorted(re.findall(r"#\w+-\d+-", upgraded)) == sorted(comments)
    assert load(f"{upgraded}{REST}").spec == load(f"{text}{REST}").spec


def test_it_is_printed_with_the_warnings_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "module.yaml"
    file.write_text(VERSION_2)

    assert main(["module", "upgrade", str(file)]) == 0
    printed = capsys.readouterr()
    assert printed.out == upgrade_text(VERSION_2)
    assert printed.err.count("warning: ") == 2
    assert file.read_text() == VERSION_2


def test_a_module_that_may_be_one_of_several_is_upgraded_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "module.yaml"
    file.write_text(SNIPPET)

    assert main(["module", "upgrade", file.as_uri()]) == 0
    printed = capsys.readouterr()
    assert printed.out == upgrade_text(SNIPPET)
    assert printed.err == ""


def test_placeholders_are_kept_with_their_quotes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "module.yaml"
    text = SNIPPET.replace("8000/statefun", "${PORT}/statefun\n      maxNumBatchRequests: ${MAX}")
    file.write_text(text.replace("bank.fns/account", '"${TYPE}"'))

    assert main(["module", "upgrade", str(file)]) == 0
    printed = capsys.readouterr()
    assert "  functions: '${TYPE}'\n" in printed.out
    assert "  urlPathTemplate: http://bank:${PORT}/statefun\n" in printed.out
    assert "  maxNumBatchRequests: ${MAX}\n" in printed.out
    assert printed.err == ""


def test_a_file_without_changes_is_printed_byte_for_byte(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    text = EXAMPLE.replace("endpoints.v1/http", "endpoints.v2/http").replace("\n", "\r\n")
    file = tmp_path / "module.yaml"
    file.write_bytes(text.encode())

    assert main(["module", "upgrade", str(file)]) == 0
    assert capsys.readouterr().out == text


def test_a_folder_is_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as raised:
        main(["module", "upgrade", str(tmp_path)])
    assert raised.value.code == 2
    assert "FILE is a folder; name one module.yaml in it" in capsys.readouterr().err


def test_a_module_with_errors_is_not_upgraded(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "module.yaml"
    file.write_text(SNIPPET.replace("http://", ""))

    assert main(["module", "upgrade", "--in-place", str(file)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"{file}:7:17: urlPathTemplate 'bank:8000/statefun' ")
    assert "http://" not in file.read_text()

    assert main(["module", "upgrade", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml:1:1: the module cannot be read: no such file" in capsys.readouterr().err


def test_it_is_written_over_the_old_file_or_to_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file, other = tmp_path / "module.yaml", tmp_path / "new.yaml"
    file.write_text(VERSION_3)
    file.chmod(0o640)

    assert main(["module", "upgrade", str(file), "--output", str(other)]) == 0
    assert (file.read_text(), other.read_text()) == (VERSION_3, upgrade_text(VERSION_3))
    assert main(["module", "upgrade", str(file), "--in-place"]) == 0
    assert file.read_text() == upgrade_text(VERSION_3)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert sorted(tmp_path.iterdir()) == [file, other]
    assert capsys.readouterr().out == ""


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file, other = tmp_path / "module.yaml", tmp_path / "none" / "new.yaml"
    file.write_text(VERSION_3)

    assert main(["module", "upgrade", str(file), "--output", str(other)]) == 2
    assert capsys.readouterr().err == (
        f"SF1068: the module cannot be written to {other}: No such file or directory\n"
        "hint: name a folder that can be written to\n"
    )
