"""How far a split of an ingress was read, in the ingress's own terms."""

from collections.abc import Mapping

# Whatever JSON can say. Whoever keeps it asks only whether it has changed; what it means is the ingress's business.
Position = int | str | Mapping[str, int | str]


def whole_numbers(positions: Mapping[str, Position]) -> dict[str, int]:
    """Return the positions of an ingress that counts; raise ValueError if one is not a number."""
    numbers = {}
    for split, position in positions.items():
        if not isinstance(position, int):
            raise ValueError(f"position {position!r} of {split} is not a number")
        numbers[split] = position
    return numbers
