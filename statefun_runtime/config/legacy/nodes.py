"""Nodes that stand in no file: made of the nodes and places of one that does."""

from collections.abc import Iterable, Mapping

from statefun_runtime.config.problems import Code, Place
from statefun_runtime.config.reading.draft import ModuleDraft
from statefun_runtime.config.yaml.positions import (
    Entry,
    ListNode,
    MapNode,
    Node,
    Scalar,
    ScalarKind,
)


def text_node(place: Place, text: str) -> Scalar:
    return Scalar(place, ScalarKind.TEXT, text)


def map_node(place: Place, entries: Iterable[Entry | None]) -> MapNode:
    """Return a mapping of the entries that are there."""
    return MapNode(place, {entry.key: entry for entry in entries if entry is not None})


def called(entry: Entry | None, key: str) -> Entry | None:
    """Return the entry with another key, at the same place."""
    return None if entry is None else Entry(key, entry.place, entry.value)


def component(entry: MapNode, kind: Scalar, spec: MapNode) -> MapNode:
    """Return a component that stands where a legacy entry does; `kind` stands for its type."""
    spec_entry = entry.entries.get("spec")
    spec_place = entry.place if spec_entry is None else spec_entry.place
    return map_node(entry.place, (Entry("kind", kind.place, kind), Entry("spec", spec_place, spec)))


def rename_in_items(entry: Entry | None, names: Mapping[str, str]) -> Entry | None:
    """Return a list of mappings with some of their keys renamed; everything else as it is."""
    if entry is None or not isinstance(entry.value, ListNode):
        return entry
    items = tuple(_rename(item, names) for item in entry.value.items)
    return Entry(entry.key, entry.place, ListNode(entry.value.place, items))


def _rename(node: Node, names: Mapping[str, str]) -> Node:
    if not isinstance(node, MapNode):
        return node
    return map_node(node.place, (called(e, names.get(e.key, e.key)) for e in node.entries.values()))


def missing(draft: ModuleDraft, place: Place, owner: str, name: str, hint: str) -> None:
    """Report that a legacy module lacks something that everything below it depends on."""
    draft.error(place, Code.INCOMPLETE_LEGACY, f"{owner} has no {name!r}", hint)
