"""Hashes that decide where Flink keeps something: the key group of a key, and the id of an operator."""

import struct

_MASK_32 = 0xFFFFFFFF
_MASK_64 = (1 << 64) - 1
_C1, _C2 = 0x87C37B91114253D5, 0x4CF5AD432745937F


def flink_key_group(key: str, max_parallelism: int) -> int:
    """Return the key group of a string: murmur over Java's hash of it."""
    hashed = _java_hash(key) * 0xCC9E2D51 & _MASK_32
    hashed = (hashed << 15 | hashed >> 17) & _MASK_32
    hashed = hashed * 0x1B873593 & _MASK_32
    hashed = (hashed << 13 | hashed >> 19) & _MASK_32
    hashed = (hashed * 5 + 0xE6546B64) & _MASK_32
    hashed ^= 4
    hashed ^= hashed >> 16
    hashed = hashed * 0x85EBCA6B & _MASK_32
    hashed ^= hashed >> 13
    hashed = hashed * 0xC2B2AE35 & _MASK_32
    hashed ^= hashed >> 16
    if hashed >> 31:
        hashed = (1 << 32) - hashed if hashed != 1 << 31 else 0
    return hashed % max_parallelism


def _java_hash(text: str) -> int:
    hashed = 0
    if text.isascii():
        for byte in text.encode():
            hashed = hashed * 31 + byte & _MASK_32
        return hashed
    units = text.encode("utf-16-be", "surrogatepass")
    for (unit,) in struct.iter_unpack(">H", units):
        hashed = hashed * 31 + unit & _MASK_32
    return hashed


def topic_partition_hash(topic: str, partition: int) -> int:
    """Return the hash that Flink's Kafka connector keeps with a topic partition, as an unsigned number."""
    return (_java_hash(topic) * 31 + partition) & _MASK_32


def operator_id(uid: str) -> str:
    """Return the id of an operator that was given a uid: Murmur3 of 128 bits, in hex."""
    data = uid.encode()
    first = second = 0
    whole = len(data) // 16 * 16
    for offset in range(0, whole, 16):
        low, high = struct.unpack_from("<QQ", data, offset)
        first = (_rotated(first ^ _mixed_low(low), 27) + second) * 5 + 0x52DCE729 & _MASK_64
        second = (_rotated(second ^ _mixed_high(high), 31) + first) * 5 + 0x38495AB5 & _MASK_64
    low, high = struct.unpack("<QQ", data[whole:].ljust(16, b"\0"))
    first ^= _mixed_low(low) ^ len(data)
    second ^= _mixed_high(high) ^ len(data)
    first = (first + second) & _MASK_64
    second = (second + first) & _MASK_64
    first, second = _final(first), _final(second)
    first = (first + second) & _MASK_64
    second = (second + first) & _MASK_64
    return struct.pack("<QQ", first, second).hex()


def _rotated(number: int, bits: int) -> int:
    return (number << bits | number >> 64 - bits) & _MASK_64


def _mixed_low(number: int) -> int:
    return _rotated(number * _C1 & _MASK_64, 31) * _C2 & _MASK_64


def _mixed_high(number: int) -> int:
    return _rotated(number * _C2 & _MASK_64, 33) * _C1 & _MASK_64


def _final(number: int) -> int:
    number ^= number >> 33
    number = number * 0xFF51AFD7ED558CCD & _MASK_64
    number ^= number >> 33
    number = number * 0xC4CEB9FE1A85EC53 & _MASK_64
    return number ^ number >> 33
