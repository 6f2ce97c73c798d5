"""Which records of an ingress go to which functions: what topics and streams have in common."""

from collections.abc import Callable, Collection
from typing import TypeVar

from statefun_runtime.config.module.routers import UNSERVED_ADVICE
from statefun_runtime.config.problems import Code
from statefun_runtime.config.reading.fields import Fields, Shape
from statefun_runtime.config.yaml.positions import MapNode
from statefun_runtime.core.model.address import TypeName

R = TypeVar("R")


def read_routes(
    fields: Fields, shape: Shape, read: Callable[[Fields, Collection[str]], tuple[str, R] | None]
) -> tuple[R, ...]:
    """Read what an ingress reads, in the order of the file."""
    listed = f"{shape.noun}s"
    items = fields.items(listed, required=True)
    if items is not None and not items:
        message = f"{fields.label} reads no {shape.noun}: {listed!r} is empty"
        fields.draft.error(fields.value_place(listed), Code.MISSING_FIELD, message)
    routes: dict[str, R] = {}
    for item in items or ():
        if not isinstance(item, MapNode):
            hint = f"write '{shape.noun}:', 'valueType:' and 'targets:'"
            fields.wrong(listed, item, "a list of mappings", hint)
            continue
        entry = Fields(item, f"{shape.noun} of {fields.label}", fields.draft)
        entry.allow_only(shape)
        route = read(entry, routes)
        if route is not None:
            routes[route[0]] = route[1]
    return tuple(routes.values())


def read_name(entry: Fields, noun: str, earlier: Collection[str]) -> str | None:
    """Read the name of a topic or stream; warn of one that was there before."""
    scalar = entry.scalar(noun, required=True)
    if scalar is None:
        return None
    entry.draft.public_name(scalar.text, scalar.place)
    if scalar.text in earlier:
        message = f"{noun} {scalar.text!r} is there twice in this ingress"
        hint = f"write all targets below one {noun!r}"
        entry.draft.error(scalar.place, Code.DEFINED_TWICE, message, hint)
    return scalar.text


def read_unserved(entry: Fields) -> Collection[TypeName]:
    """Read which targets may be without an endpoint: those of an application that is still growing."""
    return tuple(
        typename
        for scalar in entry.texts("unservedTargets", required=False) or ()
        if (typename := entry.parse_typename("unserved target", scalar)) is not None
    )


def read_targets(
    entry: Fields, unserved: Collection[TypeName], *, required: bool
) -> tuple[TypeName, ...]:
    """Read the function types that records go to."""
    scalars = entry.texts("targets", required=required)
    if scalars == () and required:
        message = f"{entry.label} has no targets: its records are read and dropped"
        entry.draft.warn(entry.value_place("targets"), Code.DOUBTFUL_ROUTE, message)
    targets = []
    for scalar in scalars or ():
        target = entry.parse_typename("target", scalar)
        if target is not None:
            targets.append(target)
            if target not in unserved:
                entry.draft.route(target, scalar.place, UNSERVED_ADVICE)
    return tuple(targets)
