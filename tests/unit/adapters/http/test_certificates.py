from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statefun_runtime.adapters.http.certificates import Validity, pem_validities, validity
from tests.support.provisions import ROOT

CERTIFICATES = ROOT / "tests" / "support" / "certificates"


def pem(name: str) -> str:
    return (CERTIFICATES / f"{name}.pem").read_text()


def test_a_certificate_says_when_it_begins_and_ends():
    assert pem_validities(pem("ended")) == [
        Validity(datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC))
    ]


def test_years_after_2049_are_written_in_another_form():
    assert pem_validities(pem("future")) == [
        Validity(datetime(2100, 1, 1, tzinfo=UTC), datetime(2110, 1, 1, tzinfo=UTC))
    ]


def test_a_file_may_hold_several_certificates_and_other_things():
    text = f"some words\n{pem('ended')}-----BEGIN PRIVATE KEY-----\n{pem('server')}"
    assert [each.end.year for each in pem_validities(text)] == [2021, 2126]
    assert pem_validities("nothing") == []


@given(st.binary(max_size=60))
def test_what_is_no_certificate_is_refused(content: bytes):
    with pytest.raises(ValueError):
        validity(content)
