"""What embedded functions need in the worker's environment, and what one of them may answer."""

import asyncio
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from statefun_runtime.adapters.embedded.family import ProgramTrouble
from statefun_runtime.adapters.embedded.in_process import Outcome
from statefun_runtime.adapters.embedded.program import InProcessProgram, require_sdk
from statefun_runtime.core.partition.retry import Cause, Failure
from statefun_runtime.errors import ConfigError
from tests.unit.sdk.sdk_requests import request

PROGRAM = """\
import sys
from statefun import StatefulFunctions

functions = StatefulFunctions()


@functions.bind("t/exits")
def exits(context, message):
    sys.exit("enough")


@functions.bind("t/waits")
async def waits(context, message):
    raise ValueError("no luck")


@functions.bind("t/well")
def well(context, message):
    pass
"""


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An environment whose package `statefun` is in a folder of the test, if it makes one."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(sys, "meta_path", [PathFinder])
    for name in [name for name in sys.modules if name.partition(".")[0] == "statefun"]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


def test_without_an_sdk_the_start_is_refused(sdk: Path):
    with pytest.raises(ConfigError) as caught:
        require_sdk("endpoint 'shop/*'")

    assert str(caught.value) == (
        "SF1160: endpoint 'shop/*' runs functions of Python, and the SDK in the worker's environment is not installed\n"
        "hint: pip install statefun-sdk"
    )


def test_another_sdk_of_the_same_name_is_not_enough_and_is_not_imported(sdk: Path):
    (sdk / "statefun").mkdir()
    (sdk / "statefun" / "__init__.py").write_text("raise AssertionError('imported')")

    with pytest.raises(ConfigError, match="is another one, or an older version"):
        require_sdk("endpoint 'shop/*'")


def test_ours_is():
    require_sdk("endpoint 'shop/*'")


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> InProcessProgram:
    (tmp_path / "program_of_this_test.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "program_of_this_test", raising=False)
    return InProcessProgram("program_of_this_test")


def asked(program: InProcessProgram, name: str, *, bytes_max: int = 1000) -> Outcome:
    said = program.answer(request(target=("t", name, "x")), bytes_max=bytes_max)
    if isinstance(said, bytes | Failure):
        return said

    async def wait() -> Outcome:
        return await said()

    return asyncio.run(wait())


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("exits", "the endpoint answered with status 500: SystemExit: enough"),
        ("waits", "the endpoint answered with status 500: ValueError: no luck"),
    ],
)
def test_a_function_that_raises_is_a_failure_like_that_of_a_server(
    program: InProcessProgram, name: str, told: str
):
    assert asked(program, name) == Failure(Cause.STATUS, told, 500)


def test_a_reply_may_be_as_large_as_that_of_a_server(program: InProcessProgram):
    well = asked(program, "well")
    assert isinstance(well, bytes)

    assert asked(program, "well", bytes_max=len(well)) == well
    refused = asked(program, "well", bytes_max=len(well) - 1)
    assert isinstance(refused, Failure)
    assert refused.cause is Cause.TOO_LARGE


def test_what_cannot_be_imported_is_told():
    with pytest.raises(ProgramTrouble, match="there is no module 'nowhere_at_all'"):
        InProcessProgram("nowhere_at_all")
