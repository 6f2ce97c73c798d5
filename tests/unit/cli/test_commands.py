"""How the command tells its commands apart, and keeps secrets while it does one."""

import logging
import sys
from importlib import metadata
from pathlib import Path
from platform import python_version

import pytest

from statefun_runtime.cli import main, run, status_of, validate
from statefun_runtime.cli.flags import bare_numbers
from statefun_runtime.cli.hiding import hiding
from statefun_runtime.cli.status import STATUSES
from statefun_runtime.errors import (
    ConfigError,
    CorruptionError,
    FencedError,
    FunctionError,
    StatefunError,
    UnavailableError,
)
from tests.support.provisions import ROOT

SECRETS = [("hunter2", "${PW}")]


def test_a_misspelt_command_is_told_with_the_nearest_one(capsys: pytest.CaptureFixture[str]):
    assert main(["validte", "module.yaml"]) == 2
    assert capsys.readouterr().err == (
        "SF1078: unknown command 'validte'\nhint: did you mean 'validate'?\n"
    )


def test_dead_letters_are_read_with_the_placeholders_of_the_module_filled_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "module.yaml"
    path.write_text(
        "kind: io.statefun.endpoints.v2/http\n"
        "spec: {functions: a/*, urlPathTemplate: '${URL}'}\n"
        "---\nkind: io.statefun.playground.v1/ingress\nspec: {}\n"
    )
    command = ["dead-letters", "list", "--module", str(path)]

    assert main(command) == 2
    assert "${URL} has no value" in capsys.readouterr().err
    assert main([*command, "--set", "URL=http://x"]) == 2
    assert "SF1111: the module sends no dead letters" in capsys.readouterr().err


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]):
    assert main(["--version"]) == 0
    version = metadata.version("statefun-runtime")
    assert capsys.readouterr().out == f"statefun-worker {version} (Python {python_version()})\n"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigError("edit it"), 2),
        (UnavailableError("it is away"), 1),
        (FunctionError("it failed"), 1),
        (CorruptionError("it is damaged"), 1),
        (FencedError("somebody newer runs"), 3),
    ],
)
def test_the_exit_status_says_who_must_act(error: StatefunError, status: int):
    assert status_of(error) == status


def test_the_page_lists_the_exit_statuses():
    page = (ROOT / "docs" / "reference" / "settings.md").read_text()
    for status, meaning, again in STATUSES:
        assert f"| {status} | {meaning} | {again} |" in page


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--checkpoint-interval", "5"], "--checkpoint-interval 5 is taken as 5ms"),
        (["--stop-timeout", "5"], "--stop-timeout 5 is taken as 5s"),
        (["--stop-timeout", "0.5"], "--stop-timeout 0.5 is taken as 0.5s"),
    ],
)
def test_a_duration_without_a_unit_means_what_it_did_and_is_told(given: list[str], told: str):
    (line,) = bare_numbers(run.make_parser().parse_args(given))
    assert line.startswith(f"{told}: write the unit, as in ")


def test_a_duration_means_the_same_at_every_flag():
    flags = run.make_parser().parse_args(
        ["--checkpoint-interval", "500ms", "--stop-timeout", "500ms"]
    )
    assert flags.checkpoint_interval_s == flags.stop_timeout_s == 0.5
    assert bare_numbers(flags) == []


def test_every_flag_with_a_duration_takes_a_unit(capsys: pytest.CaptureFixture[str]):
    for parser in (run.make_parser(), validate.make_parser()):
        for action in parser._actions:
            if isinstance(action.default, float) or action.dest.endswith("_s"):
                assert action.metavar == "DURATION", action.option_strings
                with pytest.raises(SystemExit):
                    parser.parse_args([action.option_strings[0], "5 parsecs"])
                assert "such as 90s or 200ms" in capsys.readouterr().err


def test_a_module_without_its_flag_is_told(capsys: pytest.CaptureFixture[str]):
    assert main(["module.yaml"]) == 2
    assert "SF1078: unknown command 'module.yaml'" in capsys.readouterr().err


def test_what_is_printed_and_logged_is_masked(capsys: pytest.CaptureFixture[str]):
    with hiding(SECRETS):
        print("out hunter2")
        print("err hunter2", file=sys.stderr)
        logger = logging.getLogger("test.hiding")
        logger.addHandler(logging.StreamHandler())
        logger.error("log %s", {"pw": "hunter2"})
    print("hunter2")

    printed = capsys.readouterr()
    assert printed.out == "out ${PW}\nhunter2\n"
    assert printed.err == "err ${PW}\nlog {'pw': '${PW}'}\n"


def test_an_error_that_comes_out_is_masked():
    error = UnavailableError("no answer from hunter2", code="SF3002", hint="is hunter2 up?")
    with pytest.raises(UnavailableError) as raised, hiding(SECRETS):
        raise error
    assert str(raised.value) == "SF3002: no answer from ${PW}\nhint: is ${PW} up?"


def test_a_bug_is_printed_masked_and_ends_the_process(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as raised, hiding(SECRETS):
        raise AssertionError("hunter2 is not sorted")
    assert raised.value.code == 1
    assert "AssertionError: ${PW} is not sorted" in capsys.readouterr().err


def test_an_interrupt_is_passed_on():
    with pytest.raises(KeyboardInterrupt), hiding(SECRETS):
        raise KeyboardInterrupt
