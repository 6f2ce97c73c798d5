"""Every command on the pages about moving is one that there is, with flags that there are."""

import re
import shlex
from argparse import ArgumentParser
from collections.abc import Callable

import pytest

from statefun_runtime.cli import checkpoints, run, savepoint, show, validate
from statefun_runtime.cli.moving import check_migration, compare, savepoint_import, state
from tests.support.provisions import ROOT

PAGES = (
    "docs/migrate/README.md",
    "docs/migrate/shadow.md",
    "docs/migrate/sizing.md",
    "docs/reference/state-files.md",
)
PARSERS: dict[str, Callable[[], ArgumentParser]] = {
    "module check-migration": check_migration._parser,
    "savepoint import": savepoint_import._parser,
    "savepoint": savepoint._parser,
    "compare": compare._parser,
    "state": state._parser,
    "status": show._parser,
    "checkpoints": checkpoints._parser,
    "validate": validate.make_parser,
    "": run.make_parser,
}


def commands(page: str) -> list[str]:
    text = (ROOT / page).read_text().replace("\\\n", " ")
    return re.findall(r"^statefun-worker (.+)$", text, re.M)


@pytest.mark.parametrize("page", PAGES)
def test_commands_on_a_page_can_be_given(page: str):
    found = commands(page)
    assert found, page
    for command in found:
        name = next(name for name in PARSERS if command.startswith(name))
        PARSERS[name]().parse_args(shlex.split(command)[len(name.split()) :])
