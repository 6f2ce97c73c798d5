"""The single-document formats from before StateFun 3.1, translated into the components of today.

    version, module.meta.type, module.spec ──▶ sections ──▶ entries ──▶ one component each

What comes out are nodes as `positions` makes them, with the places of the old file, so that the readers of
components stay the one way to read a component, and say where in the old file something is wrong.

A file with sections alone, and nothing around them, is what the READMEs of StateFun's SDKs show.
"""

from dataclasses import dataclass

from statefun_runtime.config.legacy.entries import (
    FunctionsReader,
    read_egress,
    read_endpoint,
    read_ingress,
)
from statefun_runtime.config.legacy.entry import ENTRY_KEYS, open_entry
from statefun_runtime.config.legacy.nodes import missing
from statefun_runtime.config.legacy.routers import open_routers
from statefun_runtime.config.problems import Code
from statefun_runtime.config.reading.draft import ModuleDraft, Role
from statefun_runtime.config.reading.fields import Fields, Shape
from statefun_runtime.config.yaml.positions import (
    Entry,
    ListNode,
    MapNode,
    Node,
    Scalar,
    describe,
    is_null,
)

_SECTIONS = tuple(ENTRY_KEYS)
_ROLES = {
    "functions": Role.ENDPOINT,
    "endpoints": Role.ENDPOINT,
    "ingresses": Role.INGRESS,
    "egresses": Role.EGRESS,
}
_ENVELOPE = Shape("a legacy module", ("version", "module"))
_MODULE = Shape("module", ("meta", "spec"))
_SPEC = Shape("the spec of a legacy module", _SECTIONS)
_BARE = Shape("a module without 'module'", _SECTIONS)


# What to do about a section that a format does not have.
_ADVICE = {
    "functions": "write each as an endpoint, with a URL template, in the section 'endpoints'",
    "routers": "write the targets into the topics of the ingress",
    "endpoints": "format 3.0 has it; in this one write each function in the section 'functions'",
}


@dataclass(frozen=True, slots=True)
class Format:
    """One format: which sections it has, and which it passes over in silence.

    `has_old_names` says whether types and fields are called as in StateFun 2.x; `calls_old` whether its
    functions were written for the protocol of 2.x.
    """

    label: str
    ignored: tuple[str, ...] = ()
    has_old_names: bool = False
    calls_old: bool = False


_BARE_FORMAT = Format("without a version", has_old_names=True)
FORMATS = {
    "1.0": Format("1.0", ("endpoints",), has_old_names=True, calls_old=True),
    "2.0": Format("2.0", ("endpoints",), has_old_names=True, calls_old=True),
    "3.0": Format("3.0", ("functions", "routers")),
}
_VERSIONS = (
    "the versions are 1.0, 2.0 and 3.0; newer modules have none: "
    "write components with 'kind' and 'spec', divided by '---'"
)


def components_of(document: Node, draft: ModuleDraft) -> tuple[Node, ...] | None:
    """Return the components in a document, which usually is one; None if what is in it cannot be told."""
    if isinstance(document, MapNode) and _is_legacy(document):
        return _read_legacy(document, draft)
    return (document,)


def _is_legacy(document: MapNode) -> bool:
    """Return whether a document is a whole module in one of the formats from before 3.1."""
    if "kind" in document.entries:
        return False
    version = document.entries.get("version")
    has_version = version is not None and isinstance(version.value, Scalar)
    return has_version or any(name in document.entries for name in ("module", *_SECTIONS))


def _read_legacy(document: MapNode, draft: ModuleDraft) -> tuple[MapNode, ...] | None:
    """Return the components of a legacy module; None if it cannot be told what is in it."""
    if "version" not in document.entries and "module" not in document.entries:
        Fields(document, _BARE.noun, draft).allow_only(_BARE)
        return _read_sections(document, _BARE_FORMAT, draft)
    spec = _read_module(document, draft)
    version = _read_version(document, draft)
    if spec is None or version is None:
        return None
    Fields(spec, _SPEC.noun, draft).allow_only(_SPEC)
    return _read_sections(spec, version, draft)


def _read_version(document: MapNode, draft: ModuleDraft) -> Format | None:
    entry = document.entries.get("version")
    if entry is None or is_null(entry.value):
        place = document.place if entry is None else entry.place
        hint = "write version: \"3.0\" above 'module', or write components with 'kind' and 'spec'"
        draft.error(place, Code.INCOMPLETE_LEGACY, "this legacy module has no 'version'", hint)
        return None
    if not isinstance(entry.value, Scalar):
        Fields(document, _ENVELOPE.noun, draft).wrong("version", entry.value, "text", _VERSIONS)
        return None
    version = entry.value.text
    if version not in FORMATS:
        message = f"there is no module format of version {version!r}"
        draft.error(entry.value.place, Code.UNKNOWN_VERSION, message, _VERSIONS)
    return FORMATS.get(version)


def _read_module(document: MapNode, draft: ModuleDraft) -> MapNode | None:
    """Return the spec of the module, if the envelope around it is whole."""
    envelope = Fields(document, _ENVELOPE.noun, draft)
    module = _open(document, "module", "this legacy module", draft)
    beside = "" if module is None or "spec" not in document.entries else "spec"
    if beside:
        place = document.entries["spec"].place
        hint = "indent 'spec' so that it stands below 'module', beside 'meta'"
        draft.error(
            place, Code.INCOMPLETE_LEGACY, "'spec' stands beside 'module', not below it", hint
        )
    else:
        envelope.allow_only(_ENVELOPE)
    if module is None:
        return None
    Fields(module, _MODULE.noun, draft).allow_only(_MODULE)
    is_remote = _is_remote(module, draft)
    spec = None if beside else _open(module, "spec", "module", draft)
    return spec if is_remote else None


def _is_remote(module: MapNode, draft: ModuleDraft) -> bool:
    meta = _open(module, "meta", "module", draft)
    if meta is None:
        return False
    fields = Fields(meta, "meta of module", draft)
    if fields.find("type") is None:
        missing(draft, meta.place, "meta of module", "type", "write type: remote")
        return False
    scalar = fields.scalar("type")
    if scalar is None or scalar.text.lower() == "remote":
        return scalar is not None
    message = f"module type {scalar.text!r} is not 'remote'"
    hint = "only remote modules are written in YAML: write type: remote"
    draft.error(scalar.place, Code.NOT_A_CHOICE, message, hint)
    return False


_FORMS = {
    "module": "write 'module:' with 'meta:' and 'spec:' below it",
    "meta": "write 'meta:' with 'type: remote' below it",
    "spec": "write 'spec:' with 'ingresses:' and the other sections below it",
}


def _open(parent: MapNode, name: str, owner: str, draft: ModuleDraft) -> MapNode | None:
    entry = parent.entries.get(name)
    if entry is not None and isinstance(entry.value, MapNode):
        return entry.value
    place = parent.place if entry is None else entry.place
    missing(draft, place, owner, name, _FORMS[name])
    return None


def _read_sections(spec: MapNode, form: Format, draft: ModuleDraft) -> tuple[MapNode, ...]:
    for name in form.ignored:
        if name in spec.entries:
            message = f"the section {name!r} is ignored: format {form.label} does not have it"
            draft.warn(spec.entries[name].place, Code.SECTION_IGNORED, message, _ADVICE[name])
    sections = {
        name: _open_entries(entry, draft)
        for name, entry in spec.entries.items()
        if name in _SECTIONS and name not in form.ignored
    }
    routers = open_routers(sections.get("routers", []), draft)
    functions = FunctionsReader(draft, calls_old=form.calls_old)
    components: list[MapNode | None] = []
    for name, entries in sections.items():
        match name:
            case "functions":
                components += map(functions.read, entries)
            case "endpoints":
                components += (read_endpoint(entry, draft) for entry in entries)
            case "ingresses":
                known = routers if form.has_old_names else None
                components += (read_ingress(entry, known, draft) for entry in entries)
            case "egresses":
                is_old = form.has_old_names
                components += (read_egress(entry, draft, has_old_names=is_old) for entry in entries)
    routers.check_all_used(draft)
    return tuple(component for component in components if component is not None)


def _open_entries(section: Entry, draft: ModuleDraft) -> list[MapNode]:
    """Return the entries of a section that have the form of one; the others still count with their role."""
    items: tuple[Node, ...] = ()
    if isinstance(section.value, ListNode):
        items = section.value.items
    elif not is_null(section.value):
        message = f"{section.key!r} must be a list, found {describe(section.value)}"
        hint = f"begin each entry of it with '- {ENTRY_KEYS[section.key]}:'"
        draft.error(section.value.place, Code.WRONG_VALUE, message, hint)
    if items and section.key in _ROLES:
        draft.has_role(_ROLES[section.key])
    found = (open_entry(item, ENTRY_KEYS[section.key], draft) for item in items)
    return [entry for entry in found if entry is not None]
