"""`statefun-worker explain SF1009`: what an error means, and what to do."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import statefun_runtime
from statefun_runtime.cli.status import GOOD
from statefun_runtime.config.problems import did_you_mean
from statefun_runtime.errors import ConfigError

_PACKAGE = Path(statefun_runtime.__file__).parent
# In a wheel they lie in the package, in a clone where they are written.
_FOLDERS = (_PACKAGE / "error_pages", _PACKAGE.parent / "docs" / "reference" / "errors")


def main(given: Sequence[str]) -> int:
    """Print the pages of some codes, or the list of all."""
    flags = _parser().parse_args(given)
    pages = error_pages()
    if not flags.codes:
        for page in pages.values():
            print(title(page))
        return GOOD
    print("\n\n".join(_find(code.upper(), pages).strip() for code in flags.codes))
    return GOOD


def error_pages() -> dict[str, str]:
    """Return the text of every page, by its code."""
    folder = next((folder for folder in _FOLDERS if folder.is_dir()), _FOLDERS[0])
    return {path.stem: path.read_text() for path in sorted(folder.glob("SF*.md"))}


def title(page: str) -> str:
    """Return what a page is about: its code, and what went wrong."""
    return page.partition("\n")[0].removeprefix("# ")


def _find(code: str, pages: dict[str, str]) -> str:
    if code in pages:
        return pages[code]
    hint = did_you_mean(code, pages) or "`statefun-worker explain` lists all"
    raise ConfigError(f"there is no error {code!r}", code="SF1079", hint=hint)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="statefun-worker explain",
        description="Say what an error or warning means, how it looks, and what to do.",
        epilog="examples:\n  statefun-worker explain SF1009\n  statefun-worker explain          lists all",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("codes", nargs="*", metavar="CODE", help="such as SF1009")
    return parser
