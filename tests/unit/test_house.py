"""The rules of the house that no tool checks: sizes, error pages, tasks with a parent."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = (ROOT / "statefun_runtime", ROOT / "sdk" / "python" / "statefun")
ERRORS = ROOT / "docs" / "reference" / "errors"
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
ORPHANS = {"create_task", "gather", "ensure_future"}


def sources() -> Iterator[tuple[str, str]]:
    for folder in SOURCES:
        for path in sorted(folder.rglob("*.py")):
            if not path.name.endswith("_pb2.py"):
                yield str(path.relative_to(ROOT)), path.read_text()


def functions() -> Iterator[tuple[int, str]]:
    for name, text in sources():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                yield node.end_lineno - node.lineno + 1, f"{name}:{node.lineno} {node.name}"


def above(limit: int, sizes: Iterator[tuple[int, str]]) -> list[str]:
    """Return what is too long, the longest first."""
    return [f"{size} lines: {what}" for size, what in sorted(sizes, reverse=True) if size > limit]


def codes() -> set[str]:
    """Return the error codes that can be printed; the round ones are only what a kind begins with."""
    found = {code for _, text in sources() for code in re.findall(r'"(SF\d{4})"', text)}
    return {code for code in found if not code.endswith("000")}


def test_there_is_something_to_check():
    assert len(list(sources())) > 50
    assert len(codes()) > 30


def test_no_function_is_too_long():
    assert above(FUNCTION_LINES_MAX, functions()) == []


def test_no_file_is_too_long():
    assert above(FILE_LINES_MAX, ((len(t.splitlines()), name) for name, t in sources())) == []


def test_every_error_code_has_a_page_and_every_page_a_code():
    assert {path.stem for path in ERRORS.glob("*.md")} == codes()


def test_an_error_page_says_what_happened_how_it_looks_and_what_to_do():
    for path in sorted(ERRORS.glob("*.md")):
        page = path.read_text()
        title, what, *rest = page.split("\n\n")
        assert title.startswith(f"# {path.stem}: "), path.name
        assert what, path.name
        assert "```text\n" in page, path.name
        assert not rest[-1].startswith("```"), f"{path.name} does not say what to do"


def test_an_error_code_has_one_meaning():
    """A code is given in one file; several places in it may raise it."""
    places: dict[str, set[str]] = {}
    for name, text in sources():
        for code in re.findall(r'"(SF\d{4})"', text):
            places.setdefault(code, set()).add(name)
    shared = {code: sorted(names) for code, names in places.items() if len(names) > 1}
    assert shared == {}


def test_every_task_has_a_parent():
    orphans = []
    for name, text in sources():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module == "asyncio":
                orphans += [
                    f"{name}: {alias.name}" for alias in node.names if alias.name in ORPHANS
                ]
            is_asyncio = (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "asyncio"
            )
            if is_asyncio and node.attr in ORPHANS:
                orphans.append(f"{name}:{node.lineno} asyncio.{node.attr}")
    assert orphans == []


# What engine and adapters may look at, and not change.
OWNED_BY_PARTITIONS = {
    *("phase", "in_flight", "in_flight_bytes", "waiting", "waiting_bytes", "spilled_bytes"),
    *("spill", "failing", "busy", "parked", "received"),
}
CHANGING = {"append", "appendleft", "clear", "extend", "insert", "pop", "popleft", "remove"}


def changes_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and name of each attribute of another object that is assigned, deleted or changed in place."""
    for node in ast.walk(tree):
        changed: ast.expr | None = None
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            changed = node
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            changed = node.func.value if node.func.attr in CHANGING else None
        if isinstance(changed, ast.Attribute):
            is_own = isinstance(changed.value, ast.Name) and changed.value.id == "self"
            if not is_own:
                yield changed.lineno, changed.attr


def test_phases_counts_and_bytes_are_changed_by_their_partition_alone():
    strangers = [
        f"{name}:{line} {attribute}"
        for name, text in sources()
        if name.startswith(("statefun_runtime/engine/", "statefun_runtime/adapters/"))
        for line, attribute in changes_of(ast.parse(text))
        if attribute in OWNED_BY_PARTITIONS
    ]
    assert strangers == []


def test_a_change_of_what_partitions_own_is_found():
    text = "a.phase = 1\nb.c.busy += 1\nd.waiting.append(2)\ndel e.spill\nprint(f.phase)\n"
    changed = {line for line, name in changes_of(ast.parse(text)) if name in OWNED_BY_PARTITIONS}
    assert changed == {1, 2, 3, 4}
