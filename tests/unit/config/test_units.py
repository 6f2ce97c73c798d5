import pytest
from hypothesis import given
from hypothesis import strategies as st

from statefun_runtime.config.reading.units import (
    parse_date_ms,
    parse_duration_ns,
    parse_memory_bytes,
)

SECOND = 1_000_000_000
LABELS = {
    "d day days": 86_400 * SECOND,
    "h hour hours": 3_600 * SECOND,
    "min m minute minutes": 60 * SECOND,
    "s sec secs second seconds": SECOND,
    "ms milli millis millisecond milliseconds": 1_000_000,
    "µs micro micros microsecond microseconds": 1_000,
    "ns nano nanos nanosecond nanoseconds": 1,
}


@pytest.mark.parametrize(
    ("label", "size"), [(label, size) for names, size in LABELS.items() for label in names.split()]
)
def test_every_label_is_read_in_upper_and_lower_case(label: str, size: int):
    assert parse_duration_ns(f"7{label}") == 7 * size
    assert parse_duration_ns(f" 7  {label.title() if label != 'µs' else label} ") == 7 * size


def test_a_number_alone_is_milliseconds():
    assert parse_duration_ns("15") == 15_000_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "duration is empty"),
        (" \t", "duration is empty"),
        ("-5s", "duration '-5s' does not start with a number"),
        ("soon", "duration 'soon' does not start with a number"),
        ("٣s", "duration '٣s' does not start with a number"),
        ("1.5s", "duration '1.5s' has the unknown unit '.5s'"),
        ("2 weeks", "duration '2 weeks' has the unknown unit 'weeks'"),
        ("1min30s", "duration '1min30s' has the unknown unit 'min30s'"),
        (
            "9223372036854775808ns",
            "duration '9223372036854775808ns' is too large: its number does not fit into 64 bits",
        ),
        (
            "106751991167301d",
            "duration '106751991167301d' is too long: its seconds do not fit into 64 bits",
        ),
    ],
)
def test_what_is_no_duration_is_refused_with_its_reason(text: str, message: str):
    with pytest.raises(ValueError) as raised:
        parse_duration_ns(text)
    assert str(raised.value) == message


def test_the_longest_durations_are_read():
    assert parse_duration_ns("106751991167300d") == 106_751_991_167_300 * 86_400 * SECOND
    assert parse_duration_ns(f"{2**63 - 1}s") == (2**63 - 1) * SECOND
    assert parse_duration_ns("00000000000000000000001s") == SECOND


@given(st.text())
def test_any_text_is_a_duration_or_refused(text: str):
    try:
        duration_ns = parse_duration_ns(text)
    except ValueError:
        return
    assert duration_ns >= 0


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("123", 123),
        ("10 b", 10),
        ("10bytes", 10),
        ("2k", 2048),
        ("64kb", 65_536),
        ("1 kibibytes", 1024),
        ("32 mb", 32 * 2**20),
        ("1M", 2**20),
        ("1 mebibytes", 2**20),
        ("1g", 2**30),
        ("3GB", 3 * 2**30),
        ("1 gibibytes", 2**30),
        ("1t", 2**40),
        ("1tb", 2**40),
        ("1 tebibytes", 2**40),
    ],
)
def test_memory_sizes_are_read_as_flink_reads_them(text: str, size: int):
    assert parse_memory_bytes(text) == size


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "memory size is empty"),
        ("mb", "memory size 'mb' does not start with a number"),
        ("1 mib", "memory size '1 mib' has the unknown unit 'mib'"),
        (
            "9000000tb",
            "memory size '9000000tb' is too large: its bytes do not fit into 64 bits",
        ),
    ],
)
def test_what_is_no_memory_size_is_refused_with_its_reason(text: str, message: str):
    with pytest.raises(ValueError) as raised:
        parse_memory_bytes(text)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("text", "millis"),
    [
        ("1970-01-01 00:00:00.000 +0000", 0),
        ("1969-12-31 23:59:59.999 +0000", -1),
        ("2020-02-29 04:15:00.007 -0500", 1_582_967_700_007),
        ("2020-02-29 09:15:00.007 +0000", 1_582_967_700_007),
        ("0001-01-01 00:00:00.000 +1800", -62_135_661_600_000),
    ],
)
def test_dates_are_milliseconds_since_1970(text: str, millis: int):
    assert parse_date_ms(text) == millis


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "2020-02-29 04:15:00.00 Z",
            "date '2020-02-29 04:15:00.00 Z' is not of the form yyyy-MM-dd HH:mm:ss.SSS Z",
        ),
        (
            "2020-02-29 04:15:00.000 +18:00",
            "date '2020-02-29 04:15:00.000 +18:00' is not of the form yyyy-MM-dd HH:mm:ss.SSS Z",
        ),
        (
            "2019-02-29 04:15:00.000 +0000",
            "date '2019-02-29 04:15:00.000 +0000' is not a day and time of the calendar",
        ),
        (
            "2019-02-20 04:15:00.000 +1801",
            "date '2019-02-20 04:15:00.000 +1801' does not exist: offsets go from -1800 to +1800",
        ),
        (
            "2019-02-20 04:15:00.000 +0060",
            "date '2019-02-20 04:15:00.000 +0060' does not exist: offsets go from -1800 to +1800",
        ),
    ],
)
def test_what_is_no_date_is_refused_with_its_reason(text: str, message: str):
    with pytest.raises(ValueError) as raised:
        parse_date_ms(text)
    assert str(raised.value) == message
