"""The single-document formats from before StateFun 3.1: told apart here, and refused.

A translator would turn such a document into component nodes for `components.read_component`.
"""

from statefun_runtime.config.positions import MapNode, Node, Scalar
from statefun_runtime.config.problems import Code, Place, Problem, Source

_SECTIONS = ("functions", "routers", "ingresses", "egresses", "endpoints")
_HINT = (
    "write each endpoint, ingress and egress as a document of its own with 'kind' and 'spec', "
    "divided by '---'"
)


def find_legacy(document: Node, source: Source) -> Problem | None:
    """Return the problem with a document in a legacy format; None for every other document."""
    if not isinstance(document, MapNode) or "kind" in document.entries:
        return None
    version = document.entries.get("version")
    if version is not None and isinstance(version.value, Scalar):
        return _refusal(source, version.place, _format_of(version.value.text))
    if "module" in document.entries:
        return _refusal(source, document.entries["module"].place, "the legacy format")
    for section in _SECTIONS:
        if section in document.entries:
            place = document.entries[section].place
            return _refusal(source, place, f"a {section!r} section of the legacy format")
    return None


def _format_of(version: str) -> str:
    if version in ("1.0", "2.0"):
        return f"the legacy format {version} of StateFun 2.x"
    return f"the legacy format {version} of StateFun 3.0" if version == "3.0" else "a legacy format"


def _refusal(source: Source, place: Place, what: str) -> Problem:
    message = f"this is {what}, which is not supported yet"
    return source.problem(place, Code.LEGACY_FORMAT, message, hint=_HINT)
