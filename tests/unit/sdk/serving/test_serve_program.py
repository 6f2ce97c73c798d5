"""What `statefun serve` serves: a module and a name, and what it says when there is nothing."""

import sys
from pathlib import Path

import pytest
from statefun import RequestReplyHandler, cli
from statefun.serving.program import ProgramError, load

PROGRAM = "from statefun import *\nfunctions = StatefulFunctions()\nhandler = RequestReplyHandler(functions)\nother = 7\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("served_well", "served_badly", "served_halfway"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "served_well.py").write_text(PROGRAM)
    (tmp_path / "served_badly.py").write_text("1 / 0\n")
    (tmp_path / "served_halfway.py").write_text("import there_is_none\n")
    return tmp_path


@pytest.mark.parametrize("name", ["served_well", "served_well:functions", "served_well:handler"])
def test_functions_are_named_by_module_and_name(name: str):
    assert isinstance(load(name), RequestReplyHandler)


EXAMPLE = "name it like 'shop.functions:functions': a module, and the StatefulFunctions in it"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "nowhere",
            "there is no module 'nowhere' in {folder} or among the installed packages; " + EXAMPLE,
        ),
        (
            "served_well.more",
            "there is no module 'served_well.more' in {folder} or among the installed packages; "
            + EXAMPLE,
        ),
        ("served_well.py", "'served_well.py' is a file; name its module: 'served_well'"),
        (
            "shop/functions.py:functions",
            "'shop/functions.py' is a file; name its module: 'shop.functions'",
        ),
        ("", "'' is no module; " + EXAMPLE),
        ("served_well:nope", "module 'served_well' has no 'nope'; it has functions, handler"),
        (
            "served_well:other",
            "served_well:other must be StatefulFunctions or a RequestReplyHandler, not int",
        ),
    ],
)
def test_what_cannot_be_served_is_said(name: str, said: str, folder: Path):
    with pytest.raises(ProgramError) as refusal:
        load(name)
    assert str(refusal.value) == said.format(folder=folder)


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("served_badly", "ZeroDivisionError: division by zero"),
        ("served_halfway", "ModuleNotFoundError: No module named 'there_is_none'"),
    ],
)
def test_a_module_that_cannot_be_imported_shows_where(name: str, last: str):
    with pytest.raises(ProgramError) as refusal:
        load(name)
    text = str(refusal.value)
    assert text.startswith(f"importing '{name}' failed:\nTraceback")
    assert text.endswith(last)


def test_the_command_says_it_and_ends_with_2(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["serve", "served_well:nope"]) == 2
    assert (
        capsys.readouterr().err
        == "statefun: module 'served_well' has no 'nope'; it has functions, handler\n"
    )


def test_an_address_that_cannot_be_had_is_said(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["serve", "served_well", "--host", "192.0.2.1", "--port", "80"]) == 2
    assert capsys.readouterr().err == (
        "statefun: cannot listen at 192.0.2.1:80: cannot assign requested address; "
        "is it another server's? choose another with --port\n"
    )


def test_the_help_teaches(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        cli.main(["serve", "--help"])
    text = capsys.readouterr().out
    assert "statefun serve shop.functions:functions" in text
    assert "urlPathTemplate: http://127.0.0.1:8000/statefun" in text
