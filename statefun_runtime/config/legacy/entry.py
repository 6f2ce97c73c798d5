"""One entry of a legacy module: what stands around its `meta` and `spec`, and that they are there."""

from statefun_runtime.config.legacy.nodes import map_node, missing
from statefun_runtime.config.problems import Code
from statefun_runtime.config.reading.draft import ModuleDraft
from statefun_runtime.config.reading.fields import Fields, Shape
from statefun_runtime.config.yaml.positions import Entry, MapNode, Node, Scalar, describe, is_null

# The sections of a module, each with the key under which its entries stand.
ENTRY_KEYS = {
    "functions": "function",
    "endpoints": "endpoint",
    "routers": "router",
    "ingresses": "ingress",
    "egresses": "egress",
}
_META_SHAPES = {
    "function": Shape("meta", ("kind", "type")),
    "endpoint": Shape("meta", ("kind",)),
    "router": Shape("meta", ("type",)),
    "ingress": Shape("meta", ("type", "id")),
    "egress": Shape("meta", ("type", "id")),
}


def open_entry(item: Node, key: str, draft: ModuleDraft) -> MapNode | None:
    """Return the mapping of an entry that has `meta` and `spec`, below its key or beside it."""
    hint = f"begin the entry with '- {key}:', and write 'meta:' and 'spec:' below it"
    if not isinstance(item, MapNode) or key not in item.entries:
        found = describe(item) if not isinstance(item, MapNode) else "an entry without it"
        draft.error(item.place, Code.INCOMPLETE_LEGACY, f"expected {key!r}, found {found}", hint)
        return None
    value = item.entries[key].value
    if isinstance(value, MapNode):
        Fields(item, f"the entry of this {key}", draft).allow_only(Shape("", (key,)))
        entry = value
    elif is_null(value) and len(item.entries) > 1:
        entry = map_node(item.place, (e for e in item.entries.values() if e.key != key))
    else:
        message = f"{key!r} must be a mapping, found {describe(value)}"
        draft.error(value.place, Code.INCOMPLETE_LEGACY, message, hint)
        return None
    Fields(entry, f"this {key}", draft).allow_only(Shape("", ("meta", "spec")))
    return entry


class Meta:
    """The `meta` of one entry; what it lacks is reported."""

    def __init__(self, entry: MapNode, key: str, draft: ModuleDraft) -> None:
        self._key = key
        self._place = entry.place
        self._fields = Fields(entry, f"this {key}", draft).mapping("meta", _META_SHAPES[key])
        self._entry = entry.entries.get("meta")
        self._draft = draft

    def entry(self, name: str, example: str) -> Entry | None:
        if self._fields is None and self._entry is not None and not is_null(self._entry.value):
            return None
        found = None if self._fields is None else self._fields.find(name)
        if found is None:
            place = self._place if self._entry is None else self._entry.place
            hint = f"write it below 'meta', like {name}: {example}"
            missing(self._draft, place, f"this {self._key}", f"meta.{name}", hint)
        return found

    def scalar(self, name: str, example: str) -> Scalar | None:
        found = self.entry(name, example)
        if found is None or self._fields is None:
            return None
        return self._fields.scalar(name)


def open_spec(entry: MapNode, key: str, draft: ModuleDraft) -> MapNode | None:
    """Return the spec of an entry; report it if there is none."""
    found = entry.entries.get("spec")
    if found is not None and isinstance(found.value, MapNode):
        return found.value
    if found is not None and not is_null(found.value):
        Fields(entry, f"this {key}", draft).wrong("spec", found.value, "a mapping")
        return None
    place = entry.place if found is None else found.place
    hint = "write 'spec:' beside 'meta:', with its fields below it"
    missing(draft, place, f"this {key}", "spec", hint)
    return None
