"""Trust stores and key stores as the Java client has them: PEM, PKCS12 and JKS, each read into PEM texts."""

import base64
import hashlib
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path

from statefun_runtime.connectors.kafka.settings.security import Store

_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_JKS_MAGIC = b"\xfe\xed\xfe\xed"
_JCEKS_MAGIC = b"\xce\xce\xce\xce"
_SALT_BYTES = 20
_KEY_ENTRY, _CERTIFICATE_ENTRY = 1, 2


class StoreUnusable(Exception):
    """A store cannot be read; the text says why, and holds nothing that is in it."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a store holds, as PEM; `key_password` is there if the key is still encrypted."""

    certificates: str
    key: str = field(default="", repr=False)
    key_password: str | None = field(default=None, repr=False)


def read_store(store: Store) -> Content:
    """Return what is in a store; raise StoreUnusable."""
    if store.certificates or store.key:
        return _from_pem(store.certificates or "", store.key or "", store.key_password)
    assert store.location is not None
    try:
        data = Path(store.location).read_bytes()
    except OSError as error:
        raise StoreUnusable((error.strerror or str(error)).lower()) from error
    # Java recognises PKCS12 where JKS is declared, and so do we.
    if data.startswith(_JKS_MAGIC):
        return _from_jks(data, store.password or "", store.key_password or store.password or "")
    if data.startswith(_JCEKS_MAGIC):
        raise StoreUnusable("it is of type JCEKS, which is not supported")
    if b"-----BEGIN " in data:
        text = data.decode("utf-8", "replace")
        return _from_pem(text, text, store.key_password)
    return _from_pkcs12(data, store.password)


# ── PEM ──


def _from_pem(certificates: str, key: str, key_password: str | None) -> Content:
    chain = "".join(_blocks(certificates, "CERTIFICATE"))
    keys = list(_blocks(key, "PRIVATE KEY"))
    if not chain:
        raise StoreUnusable("it holds no certificate in PEM")
    return Content(chain, keys[0] if keys else "", key_password)


def _blocks(text: str, kind: str) -> list[str]:
    """Return the blocks of a kind; written in one line, as properties often are, they are broken anew."""
    return [_block(name, body) for name, body in _PEM.findall(text) if name.endswith(kind)]


def _block(name: str, body: str) -> str:
    # A key in OpenSSL's own encryption has headers, and lines that mean something.
    if ":" not in body:
        digits = "".join(body.split())
        body = "\n" + "".join(f"{digits[at : at + 64]}\n" for at in range(0, len(digits), 64))
    return f"-----BEGIN {name}-----{body}-----END {name}-----\n"


def _pem(name: str, der: bytes) -> str:
    return _block(name, base64.b64encode(der).decode())


# ── PKCS12 ──


def _from_pkcs12(data: bytes, password: str | None) -> Content:
    try:
        from cryptography.hazmat.primitives import serialization as form
        from cryptography.hazmat.primitives.serialization import pkcs12
    except ImportError:
        raise StoreUnusable(
            "PKCS12 needs the extra 'tls': pip install 'statefun-runtime[tls]'"
        ) from None
    try:
        key, certificate, others = pkcs12.load_key_and_certificates(
            data, None if password is None else password.encode()
        )
    except ValueError as error:
        raise StoreUnusable("it is no PKCS12 or JKS file, or its password is wrong") from error
    certificates = ([] if certificate is None else [certificate]) + others
    if not certificates:
        raise StoreUnusable("it holds no certificate")
    return Content(
        "".join(each.public_bytes(form.Encoding.PEM).decode() for each in certificates),
        ""
        if key is None
        else key.private_bytes(
            form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()
        ).decode(),
    )


# ── JKS ──


@dataclass(slots=True)
class _Reader:
    """Walks through the big-endian fields of a JKS file."""

    data: bytes
    at: int = 0

    def number(self, form: str = ">I") -> int:
        (value,) = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return int(value)

    def take(self, size: int) -> bytes:
        if self.at + size > len(self.data):
            raise struct.error("cut short")
        self.at += size
        return self.data[self.at - size : self.at]

    def certificate(self, version: int) -> str:
        if version == 2:
            self.take(self.number(">H"))
        return _pem("CERTIFICATE", self.take(self.number()))


def _from_jks(data: bytes, password: str, key_password: str) -> Content:
    body, digest = data[:-20], data[-20:]
    secret = password.encode("utf-16-be")
    if password and hashlib.sha1(secret + b"Mighty Aphrodite" + body).digest() != digest:
        raise StoreUnusable("its password is wrong, or it is damaged")
    try:
        certificates, key = _jks_entries(_Reader(body, 4), key_password)
    except struct.error:
        raise StoreUnusable("it is damaged: it ends in the middle of an entry") from None
    if not certificates:
        raise StoreUnusable("it holds no certificate")
    return Content("".join(certificates), key)


def _jks_entries(reader: _Reader, key_password: str) -> tuple[list[str], str]:
    """Return the certificates, and the first key with its chain in front of them."""
    version, count = reader.number(), reader.number()
    certificates: list[str] = []
    key = ""
    for _ in range(count):
        tag = reader.number()
        reader.take(reader.number(">H"))
        reader.number(">Q")
        if tag == _KEY_ENTRY:
            encrypted = reader.take(reader.number())
            chain = [reader.certificate(version) for _ in range(reader.number())]
            if not key:
                key = _pem("PRIVATE KEY", _recover(encrypted, key_password))
                certificates = chain + certificates
        elif tag == _CERTIFICATE_ENTRY:
            certificates.append(reader.certificate(version))
        else:
            raise StoreUnusable(f"it holds an entry of the unknown kind {tag}")
    return certificates, key


def _recover(encrypted: bytes, password: str) -> bytes:
    """Decrypt a key as Java's own key store protects it: SHA-1 of password and salt, as a stream."""
    sequence, _ = _der(encrypted, 0)
    _, algorithm_end = _der(encrypted, sequence)
    start, end = _der(encrypted, algorithm_end)
    protected, secret = encrypted[start:end], password.encode("utf-16-be")
    block, mixed = protected[:_SALT_BYTES], protected[_SALT_BYTES:-20]
    stream = b""
    while len(stream) < len(mixed):
        block = hashlib.sha1(secret + block).digest()
        stream += block
    plain = bytes(a ^ b for a, b in zip(mixed, stream, strict=False))
    if hashlib.sha1(secret + plain).digest() != protected[-20:]:
        raise StoreUnusable("the password of its key is wrong")
    return plain


def _der(data: bytes, at: int) -> tuple[int, int]:
    """Return where the content of an element begins and ends."""
    size, start = data[at + 1], at + 2
    if size & 0x80:
        digits = size & 0x7F
        size, start = int.from_bytes(data[start : start + digits], "big"), start + digits
    return start, start + size
