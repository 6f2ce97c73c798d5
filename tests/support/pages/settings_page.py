"""Writes docs/reference/settings.md from the flags and options that the code has: `make docs`."""

import argparse
import re
from collections.abc import Iterator

from statefun_runtime.cli import run
from statefun_runtime.cli.status import STATUSES
from statefun_runtime.config.options import OPTIONS, VARIABLE, Option
from tests.support.provisions import ROOT

PAGE = ROOT / "docs" / "reference" / "settings.md"
_DEFAULT = re.compile(r"\s*\(default: ([^()]*)\)$")

_INTRODUCTION = """\
# Settings

<!-- Written by `make docs` from the code; a test fails while it is not current. -->

What a worker is told comes from four places. A flag wins over `--set KEY=VALUE`, `--set` over the file that
`--config FILE` names, and each of them over the default.

`--config` takes the configuration file of a Flink deployment as it is: `flink-conf.yaml` with a line `key: value` for
each option, `config.yaml` with nested YAML, or the folder that one of them is in. Options that have a counterpart are
honoured, all others are told in one line of the log.

`--set NAME=VALUE` with a name without dots is no option: it says what the placeholder `${NAME}` in the module stands for
(see [module.yaml](module.md#placeholders)).

A duration is a whole number and a unit, such as `90s` or `200ms` ([durations](module.md#durations)). Flags take a number alone, too,
and say what they take it for; options take it as Flink does, in milliseconds.
"""


def page() -> str:
    """Return the page as the code wants it."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _INTRODUCTION
    yield "## Flags\n"
    yield from _table(("flag", "default", ""), map(_flag_row, _flags()))
    effective = [option for option in OPTIONS if option.ignored is None]
    ours = [option for option in effective if option.key.startswith("statefun.runtime.")]
    statefun = [o for o in effective if o.key.startswith("statefun.") and o not in ours]
    flink = [option for option in effective if option not in (*statefun, *ours)]
    for title, options in (
        ("Options of StateFun", statefun),
        ("Options of Flink", flink),
        ("Options of the worker", ours),
    ):
        yield f"\n## {title}\n"
        yield from _table(("key", "type", "default", ""), map(_option_row, options))
    yield "\n## Exit statuses\n"
    rows = ((str(status), meaning, again) for status, meaning, again in STATUSES)
    yield from _table(("status", "means", "start the worker again?"), rows)
    yield "\n## Options that are accepted and have no effect\n"
    yield "A key that ends with a dot stands for all that begin with it.\n"
    ignored = ((f"`{o.key}`", o.ignored or "") for o in OPTIONS if o.ignored is not None)
    yield from _table(("key", "why"), ignored)


def _flags() -> Iterator[argparse.Action]:
    for action in run.make_parser()._actions:  # noqa: SLF001
        if action.option_strings and action.dest != "help":
            yield action


def _flag_row(action: argparse.Action) -> tuple[str, ...]:
    name = action.option_strings[0]
    if action.choices is not None:
        # A bar would end the cell.
        name += " " + "\\|".join(map(str, action.choices))
    elif action.nargs != 0:
        name += f" {action.metavar or action.dest.upper()}"
    text = action.help or ""
    default = _DEFAULT.search(text)
    return f"`{name}`", _code(default[1]) if default else "", _DEFAULT.sub("", text)


def _option_row(option: Option) -> tuple[str, ...]:
    key = f"`{option.key}NAME`" if option is VARIABLE else f"`{option.key}`"
    if option.aliases:
        key += ", in newer versions " + ", ".join(f"`{alias}`" for alias in option.aliases)
    meaning = f"{option.doc}; as `{option.flag}`" if option.flag else option.doc
    return key, option.type.value, _code(option.default), meaning


def _code(text: str) -> str:
    first, _, rest = text.partition("; ")
    is_one_word = " " not in first
    return (f"`{first}`" if first and is_one_word else first) + (f"; {rest}" if rest else "")


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"wrote {PAGE.relative_to(ROOT)}")
