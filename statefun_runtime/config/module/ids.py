"""The id of an ingress or egress."""

from statefun_runtime.config.reading.fields import Fields
from statefun_runtime.core.model.address import TypeName


def read_id(fields: Fields, noun: str) -> TypeName | None:
    """Read the id of an ingress or egress, and note that it is taken."""
    scalar = fields.scalar("id", required=True)
    typename = None if scalar is None else fields.parse_typename(noun, scalar)
    if scalar is not None and typename is not None:
        fields.draft.define(noun, str(typename), scalar.place)
    return typename
