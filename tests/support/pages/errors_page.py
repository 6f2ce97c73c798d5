"""Writes docs/reference/errors.md, the index of the error pages: `make docs`."""

from collections.abc import Iterator

from statefun_runtime.cli.explain import error_pages, title
from tests.support.provisions import ROOT

PAGE = ROOT / "docs" / "reference" / "errors.md"
_KINDS = {
    "SF1": "Edit a file, a flag or an option",
    "SF2": "The function's owner must act",
    "SF3": "Something outside is away or in use: the same again later may work",
    "SF4": "Another worker runs in this one's place",
    "SF5": "Stored data is not what was written",
}


def page() -> str:
    """Return the page as the code wants it."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Errors and warnings\n"
    yield "<!-- Written by `make docs` from the pages in errors/; a test fails while it is not current. -->\n"
    yield "`statefun-worker explain CODE` prints a page, also where there is no clone.\n"
    pages = error_pages()
    for prefix, kind in _KINDS.items():
        yield f"## {prefix}xxx: {kind}\n"
        yield "| code | |\n|---|---|"
        for code, text in pages.items():
            if code.startswith(prefix):
                about = title(text).removeprefix(f"{code}: ")
                yield f"| [{code}](errors/{code}.md) | {about} |"
        yield ""


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"wrote {PAGE.relative_to(ROOT)}")
