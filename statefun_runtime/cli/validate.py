"""`statefun-worker validate FILE…`: what is wrong with an application, without running it."""

import argparse
from collections.abc import Sequence

from statefun_runtime.cli.status import BAD_CONFIG, GOOD
from statefun_runtime.config.module import load_module
from statefun_runtime.core.specs import ModuleSpec


def main(given: Sequence[str]) -> int:
    """Print every problem of an application, or what is in it."""
    flags = _parser().parse_args(given)
    loaded = load_module(*flags.files, strict=flags.strict)
    for problem in loaded.problems:
        print(f"{problem}\n")
    if loaded.spec is None:
        return BAD_CONFIG
    print(f"{', '.join(loaded.files)}: good: {_contents(loaded.spec)}")
    return GOOD


def _contents(spec: ModuleSpec) -> str:
    counts = (
        (len(spec.endpoints), "endpoint", "endpoints"),
        (len(spec.ingresses), "ingress", "ingresses"),
        (len(spec.egresses), "egress", "egresses"),
    )
    return ", ".join(f"{number} {one if number == 1 else more}" for number, one, more in counts)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="statefun-worker validate",
        description="Read and check the files of one application together, without running anything.",
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="a module.yaml: a path or a file: URL; or a folder of modules",
    )
    parser.add_argument("--strict", action="store_true", help="treat warnings as errors")
    return parser
