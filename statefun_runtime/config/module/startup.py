"""`startupPosition`: where an ingress begins when there is nothing to restore; what all kinds of it have in common."""

from statefun_runtime.config.problems import Code
from statefun_runtime.config.reading.fields import Fields
from statefun_runtime.config.reading.units import DATE_FORM, parse_date_ms
from statefun_runtime.core.module.specs import Date


def read_date(fields: Fields) -> Date | None:
    """Read the date of a position; None if it could not be read."""
    scalar = fields.scalar("date", required=True)
    if scalar is None:
        return None
    try:
        return Date(parse_date_ms(scalar.text))
    except ValueError as error:
        fields.draft.error(scalar.place, Code.BAD_TIME, str(error), DATE_FORM)
        return None
