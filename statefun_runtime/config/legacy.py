"""The single-document formats from before StateFun 3.1: told apart here, and refused.

A translator would turn such a document into component nodes for `components.read_component`.
"""

from statefun_runtime.config.positions import MapNode, Node, Scalar
from statefun_runtime.config.problems import Code, Place, Problem, Source

_SECTIONS = ("module", "functions", "routers", "ingresses", "egresses", "endpoints")
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
    for section in _SECTIONS:
        if section in document.entries:
            what = f"a legacy format (it has a section {section!r})"
            return _refusal(source, document.entries[section].place, what)
    return None


def _format_of(version: str) -> str:
    if version in ("1.0", "2.0"):
        return f"the legacy format {version} of StateFun 2.x"
    if version == "3.0":
        return "the legacy format 3.0 of StateFun 3.0"
    return f"a legacy format (version {version!r})"


def _refusal(source: Source, place: Place, what: str) -> Problem:
    message = f"this module is in {what}, which is not supported yet"
    return source.problem(place, Code.LEGACY_FORMAT, message, hint=_HINT)
