"""Flags that several commands have."""

import argparse
from pathlib import Path

from statefun_runtime.config.settings import STATE_DIR
from statefun_runtime.config.units import parse_duration_ns


def duration_s(text: str) -> float:
    """Return a duration in seconds; for `type=` of a flag."""
    try:
        return parse_duration_ns(text) / 1e9
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_state_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=STATE_DIR,
        metavar="DIR",
        help=f"folder for state and checkpoints (default: {STATE_DIR})",
    )
