"""Durations, memory sizes and dates, as Flink reads them.

Each function raises ValueError with words for the person who wrote the text.
"""

import re
from datetime import UTC, datetime, timedelta, timezone

LONG_MAX = 2**63 - 1

DURATION_FORM = "write a whole number and a unit (d, h, min, s, ms, µs, ns), such as 90s or 200ms"
MEMORY_FORM = "write a whole number and a unit (b, kb, mb, gb, tb), such as 64mb"
DATE_FORM = "write it as yyyy-MM-dd HH:mm:ss.SSS Z, such as 2024-05-31 04:15:00.000 +0000"

_SECOND_NS = 1_000_000_000
_DURATION_UNITS_NS = {
    label: size
    for labels, size in (
        ("d day days", 86_400 * _SECOND_NS),
        ("h hour hours", 3_600 * _SECOND_NS),
        ("min m minute minutes", 60 * _SECOND_NS),
        ("s sec secs second seconds", _SECOND_NS),
        ("ms milli millis millisecond milliseconds", 1_000_000),
        ("µs micro micros microsecond microseconds", 1_000),
        ("ns nano nanos nanosecond nanoseconds", 1),
    )
    for label in labels.split()
}
_MEMORY_UNITS = {
    label: size
    for labels, size in (
        ("b bytes", 1),
        ("k kb kibibytes", 2**10),
        ("m mb mebibytes", 2**20),
        ("g gb gibibytes", 2**30),
        ("t tb tebibytes", 2**40),
    )
    for label in labels.split()
}
_DATE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2}) ([0-9]{2}):([0-9]{2}):([0-9]{2})\.([0-9]{3}) "
    r"([-+])([0-9]{2})([0-9]{2})"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What Java's String.trim takes away.
_BLANKS = "".join(map(chr, range(0x21)))


def parse_duration_ns(text: str) -> int:
    """Return a duration in nanoseconds; a number without a unit is milliseconds."""
    number, unit = _number_and_unit(text, "duration")
    size_ns = _DURATION_UNITS_NS.get(unit or "ms")
    if size_ns is None:
        raise ValueError(f"duration {text!r} has the unknown unit {unit!r}")
    duration_ns = number * size_ns
    if duration_ns // _SECOND_NS > LONG_MAX:
        raise ValueError(f"duration {text!r} is too long: its seconds do not fit into 64 bits")
    return duration_ns


def parse_memory_bytes(text: str) -> int:
    """Return a memory size in bytes; a number without a unit is bytes."""
    number, unit = _number_and_unit(text, "memory size")
    size = _MEMORY_UNITS.get(unit or "b")
    if size is None:
        raise ValueError(f"memory size {text!r} has the unknown unit {unit!r}")
    if number * size > LONG_MAX:
        raise ValueError(f"memory size {text!r} is too large: its bytes do not fit into 64 bits")
    return number * size


def _number_and_unit(text: str, noun: str) -> tuple[int, str]:
    trimmed = text.strip(_BLANKS)
    if not trimmed:
        raise ValueError(f"{noun} is empty")
    unit = trimmed.lstrip("0123456789")
    digits = trimmed[: len(trimmed) - len(unit)]
    if not digits:
        raise ValueError(f"{noun} {text!r} does not start with a number")
    significant = digits.lstrip("0") or "0"
    if len(significant) > 19 or int(significant) > LONG_MAX:
        raise ValueError(f"{noun} {text!r} is too large: its number does not fit into 64 bits")
    return int(significant), unit.strip(_BLANKS).lower()


def parse_date_ms(text: str) -> int:
    """Return the milliseconds since 1970 of a date in the one form that startupPosition takes."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError(f"date {text!r} is not of the form yyyy-MM-dd HH:mm:ss.SSS Z")
    *moment, sign, hours, minutes = match.groups()
    year, month, day, hour, minute, second, millis = map(int, moment)
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    if int(minutes) > 59 or offset > timedelta(hours=18):
        raise ValueError(f"date {text!r} does not exist: offsets go from -1800 to +1800")
    zone = timezone(-offset if sign == "-" else offset)
    try:
        date = datetime(year, month, day, hour, minute, second, millis * 1000, zone)
    except ValueError:
        raise ValueError(f"date {text!r} is not a day and time of the calendar") from None
    return (date - _EPOCH) // timedelta(milliseconds=1)
