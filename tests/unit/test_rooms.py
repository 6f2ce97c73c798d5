"""The rules of the house about its rooms: how much is in one, and that who imports somebody is not imported by them."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "statefun_runtime"
FILES_MAX = 15


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield what a module imports, also for the types alone, and inside a function."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield module
                yield from (f"{module}.{alias.name}" for alias in names)
            case _:
                yield from imported(node)


def imports() -> dict[str, list[str]]:
    """Return, per module of the runtime, which others of it it imports."""
    texts = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text()
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != "__init__.py" and not path.name.endswith("_pb2.py")
    }
    return {
        name: sorted({one for one in imported(ast.parse(text)) if one in texts and one != name})
        for name, text in texts.items()
    }


def circle(graph: dict[str, list[str]]) -> list[str]:
    """Return modules of which each imports the next, and the last the first; empty if there are none."""
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str]:
        if name in way:
            return way[way.index(name) :]
        if name in done:
            return []
        for other in graph[name]:
            if found := walk(other, [*way, name]):
                return found
        done.add(name)
        return []

    return next((found for name in graph if (found := walk(name, []))), [])


def test_no_module_imports_itself_by_way_of_others_also_not_for_types():
    graph = imports()
    assert len(graph) > 200
    assert circle(graph) == []


def test_a_circle_is_found():
    assert circle({"a": ["b"], "b": ["c"], "c": ["b"]}) == ["b", "c"]
    assert circle({"a": ["b", "c"], "b": ["c"], "c": []}) == []


def test_no_room_is_too_full():
    rooms: dict[str, int] = {}
    for tree in (PACKAGE, ROOT / "sdk" / "python", ROOT / "tests"):
        for path in tree.rglob("*.py"):
            if path.name != "__init__.py" and not path.name.endswith("_pb2.py"):
                room = str(path.parent.relative_to(ROOT))
                rooms[room] = rooms.get(room, 0) + 1
    assert {room: count for room, count in rooms.items() if count > FILES_MAX} == {}
