"""When certificates in PEM files end, read without a library for X.509."""

import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

_PEM = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x17, 0x18, 0xA0
_FORMS = {_UTC_TIME: "%y%m%d%H%M%SZ", _GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}


@dataclass(frozen=True, slots=True)
class Validity:
    """From when to when a certificate counts."""

    begin: datetime
    end: datetime


def pem_validities(text: str) -> list[Validity]:
    """Return the validity of each certificate of a PEM file; raise ValueError if one cannot be read."""
    return [validity(ssl.PEM_cert_to_DER_cert(block)) for block in _PEM.findall(text)]


def validity(der: bytes) -> Validity:
    """Return when a certificate begins and ends to count; raise ValueError if it is none."""
    try:
        _, certificate = _children(der)[0]
        _, body = _children(certificate)[0]
        # version (may be left out), serial number, algorithm, issuer, validity
        tags = _children(body)
        at = 4 if tags[0][0] == _VERSION else 3
        begin, end = _children(tags[at][1])
        return Validity(_time(*begin), _time(*end))
    except (IndexError, KeyError) as error:
        raise ValueError("not a certificate") from error


def _children(content: bytes) -> Sequence[tuple[int, bytes]]:
    """Return tag and content of each value that stands in a row."""
    found = []
    at = 0
    while at < len(content):
        tag, length, at = content[at], content[at + 1], at + 2
        if length >= 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(content[at : at + size], "big"), at + size
        found.append((tag, content[at : at + length]))
        at += length
    return found


def _time(tag: int, content: bytes) -> datetime:
    return datetime.strptime(content.decode("ascii"), _FORMS[tag]).replace(tzinfo=UTC)
