"""How the command tells its commands apart, and keeps secrets while it does one."""

import logging
import sys
from pathlib import Path

import pytest

from statefun_runtime.cli import main
from statefun_runtime.cli.hiding import hiding
from statefun_runtime.errors import UnavailableError

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
