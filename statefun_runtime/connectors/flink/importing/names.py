"""Which function type a state is of: Flink's files write `namespace.name`, and both may have dots.

    com.acme.shop.cart    com/acme.shop.cart   com.acme/shop.cart   com.acme.shop/cart

Never guessed: what one dot divides has one reading; else the module's endpoints, the addresses of messages and the
operator's own word decide, where they leave one reading over.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from statefun_runtime.core.model.address import TypeName


@dataclass(frozen=True, slots=True)
class Ambiguity:
    """A name with more than one reading; `plausible` are those that something speaks for."""

    dotted: str
    candidates: tuple[TypeName, ...]
    plausible: tuple[TypeName, ...]

    def __str__(self) -> str:
        all_of_them = " or ".join(map(str, self.plausible or self.candidates))
        if not self.plausible:
            return f"{self.dotted} may be {all_of_them}, and no endpoint serves one of them"
        return f"{self.dotted} may be {all_of_them}"


@dataclass(frozen=True, slots=True)
class Resolved:
    """The function types behind dotted names, and the names that stay open."""

    types: dict[str, TypeName] = field(default_factory=dict)
    ambiguous: tuple[Ambiguity, ...] = ()


def dotted(function_type: TypeName) -> str:
    """Return how Flink's files write a function type."""
    return f"{function_type.namespace}.{function_type.name}"


def candidates_of(name: str) -> tuple[TypeName, ...]:
    """Return all readings of a dotted name."""
    dots = [index for index, character in enumerate(name) if character == "."]
    readings = (TypeName(name[:dot], name[dot + 1 :]) for dot in dots if 0 < dot < len(name) - 1)
    return tuple(one for one in readings if one.is_proper)


def resolve_types(
    names: Iterable[str],
    declared: Collection[TypeName],
    seen: Collection[TypeName],
    is_served: Callable[[TypeName], bool],
) -> Resolved:
    """Read dotted names: `declared` by the operator, `seen` in messages, served by an endpoint of the module."""
    types: dict[str, TypeName] = {}
    ambiguous = []
    for name in sorted(names):
        candidates = candidates_of(name)
        plausible = _plausible(candidates, declared, seen, is_served)
        if len(plausible) == 1:
            types[name] = plausible[0]
        else:
            ambiguous.append(Ambiguity(name, candidates, plausible))
    return Resolved(types, tuple(ambiguous))


def _plausible(
    candidates: tuple[TypeName, ...],
    declared: Collection[TypeName],
    seen: Collection[TypeName],
    is_served: Callable[[TypeName], bool],
) -> tuple[TypeName, ...]:
    said = tuple(one for one in candidates if one in declared)
    if said or len(candidates) == 1:
        return said or candidates
    return tuple(one for one in candidates if one in seen or is_served(one))
