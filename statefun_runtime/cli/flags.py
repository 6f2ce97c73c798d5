"""Flags that several commands have, and what they say together."""

import argparse
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from statefun_runtime.config.flink import read_config
from statefun_runtime.config.module.loading import LoadedModule
from statefun_runtime.config.reading.units import DURATION_FORM, parse_duration_ns
from statefun_runtime.config.settings import STATE_DIR, Settings, read_settings
from statefun_runtime.connectors.modules import load_module

_BARE_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")

# A parser, or a group of its flags.
Flags = argparse.ArgumentParser | argparse._ArgumentGroup  # noqa: SLF001


class BareDuration(float):
    """A duration in seconds that was written as a number alone; `told` says what it was taken for."""

    told: str


def duration_s(flag: str, *, bare_unit: str) -> Callable[[str], float]:
    """Return the `type=` of a flag for a duration; it gives seconds.

    A number alone is taken in `bare_unit`, as each flag once did in its own way, and told by `bare_numbers`.
    """

    def parse(text: str) -> float:
        bare = _BARE_NUMBER.fullmatch(text.strip())
        try:
            if bare is None:
                return parse_duration_ns(text) / 1e9
            duration = BareDuration(float(text) * parse_duration_ns(f"1{bare_unit}") / 1e9)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{error}; {DURATION_FORM}") from None
        shown = f"{bare[0]}{bare_unit}"
        duration.told = (
            f"{flag} {bare[0]} is taken as {shown}: write the unit, as in {flag} {shown}"
        )
        return duration

    return parse


def bare_numbers(flags: argparse.Namespace) -> list[str]:
    """Return a line for each duration without a unit."""
    return [value.told for value in vars(flags).values() if isinstance(value, BareDuration)]


def add_state_dir(parser: Flags, *, default: Path | str = STATE_DIR) -> None:
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=default,
        metavar="DIR",
        help=f"folder for state and checkpoints (default: {STATE_DIR})",
    )


def add_checkpoints(parser: Flags) -> None:
    parser.add_argument(
        "--checkpoints",
        metavar="URL",
        default=argparse.SUPPRESS,
        help="keep what checkpoints are made of in a bucket: s3://BUCKET/PREFIX, gs://… or az://…, or in a folder that "
        "other machines reach, file:///… (default: in the state folder)",
    )


def add_kafka(parser: Flags, *, is_required: bool = False) -> None:
    parser.add_argument(
        "--kafka",
        metavar="SERVERS",
        required=is_required,
        default=argparse.SUPPRESS,
        help="the brokers that a cluster is found at, such as kafka:9092",
    )
    parser.add_argument(
        "--kafka-properties",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="properties of Kafka's clients for them, such as security.protocol, a line name=value each",
    )


def add_settings(parser: Flags) -> None:
    """Add the flags that options and placeholders are set with."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="set an option by its key, or by a name without dots what ${NAME} in the module stands for; "
        "may be repeated",
    )
    parser.add_argument(
        "--config",
        default=None,
        metavar="FILE",
        help="take options from Flink's configuration file, flink-conf.yaml or config.yaml; --set and flags win",
    )


def settings_of(flags: argparse.Namespace) -> Settings:
    """Return what the flags say together with `--set`, --config and the environment; raises SettingsError."""
    given: dict[str, Any] = dict(vars(flags))
    modules = tuple(given.pop("modules", None) or ())
    if modules:
        given["modules"] = modules
    return _read(given, given.pop("set"), given.pop("config"))


def load_modules(modules: Iterable[str], flags: argparse.Namespace) -> LoadedModule:
    """Load an application for a command beside the worker, with the placeholders that its flags set."""
    settings = _read({"modules": tuple(modules)}, flags.set, flags.config)
    return load_module(*settings.modules, variables=settings.variables)


def _read(given: dict[str, Any], assignments: list[str], config: str | None) -> Settings:
    return read_settings(
        given, assignments, None if config is None else read_config(config), os.environ
    )


def remarks(settings: Settings, variables_used: frozenset[str]) -> list[str]:
    """Return a line for each option and variable that has no effect, and one for all of a configuration file."""
    lines = [
        f"--set {option.key} has no effect: {option.reason}"
        for option in settings.ignored
        if option.file is None
    ]
    lines += [
        f"--set {name} has no effect: there is no placeholder ${{{name}}} in the module"
        for name in sorted(settings.variables_given - variables_used)
    ]
    unused = [option for option in settings.ignored if option.file is not None]
    if unused:
        keys = [f"{each.key} ({each.reason})" if each.reason else each.key for each in unused]
        lines.append(f"{unused[0].file}: without effect here: {', '.join(keys)}")
    return lines
