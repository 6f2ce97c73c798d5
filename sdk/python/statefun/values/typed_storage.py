"""State that a type checker knows: a class whose annotations say what a function's specs say.

    class Cart:
        seen: int | None
        items: list[str] | None

    @functions.bind("shop/cart", [ValueSpec("seen", IntType), ValueSpec("items", ITEMS)], storage=Cart)
    def cart(context: TypedContext[Cart], message: Message) -> None: ...

Nothing is an instance of it: `context.storage` is what it always is, and the class is held against the specs once.
"""

import types
import typing
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from statefun.context import Context
from statefun.value_spec import ValueSpec

S = TypeVar("S")

_PRIMITIVES: dict[str, type] = {
    "io.statefun.types/bool": bool,
    "io.statefun.types/int": int,
    "io.statefun.types/float": float,
    "io.statefun.types/long": int,
    "io.statefun.types/double": float,
    "io.statefun.types/string": str,
}


class TypedContext(Context, Generic[S]):
    """A Context, as a type checker is to see it: its storage has the attributes of a class."""

    __slots__ = ()

    @property
    def storage(self) -> S:  # type: ignore[override]
        """The state of this function instance."""
        raise NotImplementedError


def check_storage(typename: str, storage: type[Any], specs: Mapping[str, ValueSpec]) -> None:
    """Raise TypeError or ValueError if a class says something else of the state of a function than its specs do."""
    if not isinstance(storage, type):
        raise TypeError(f"the storage of function {typename!r} must be a class, not {storage!r}")
    named = f"{storage.__name__}, the storage of function {typename!r},"
    annotations = typing.get_type_hints(storage)
    for name in specs:
        if name not in annotations:
            raise ValueError(f"{named} lacks {name!r}, for which there is a ValueSpec")
    for name, annotation in annotations.items():
        spec = specs.get(name)
        if spec is None:
            known = ", ".join(map(repr, specs)) or "none"
            raise ValueError(
                f"{named} has {name!r}, for which there is no ValueSpec (there is {known})"
            )
        _check(f"{named} has {name!r}", annotation, spec)


def _check(what: str, annotation: Any, spec: ValueSpec) -> None:
    if annotation is Any:
        return
    parts = set(typing.get_args(annotation))
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    if not is_union or types.NoneType not in parts:
        shown = annotation.__name__ if isinstance(annotation, type) else annotation
        raise TypeError(f"{what} as {shown}; a state without a value is None: say {shown} | None")
    expected = _PRIMITIVES.get(spec.type.typename)
    if expected is not None and parts - {types.NoneType} != {expected}:
        raise TypeError(
            f"{what} as {annotation}; its ValueSpec is of {spec.type.typename}, which is {expected.__name__}"
        )
