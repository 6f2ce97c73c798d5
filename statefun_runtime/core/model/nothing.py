"""The list of invocations of all addresses that have none."""

from collections.abc import Iterable
from typing import Never, SupportsIndex


class _Nothing(list[bytes]):
    """No invocations: what all addresses have that have none, so it refuses any."""

    def append(self, invocation: bytes) -> Never:
        raise AssertionError("an invocation for all addresses at once")

    def extend(self, invocations: Iterable[bytes]) -> Never:
        raise AssertionError("invocations for all addresses at once")

    def insert(self, index: SupportsIndex, invocation: bytes) -> Never:
        raise AssertionError("an invocation for all addresses at once")


# Two lists of its own for each address in memory, made anew for each batch, are most of what a collector has to look at.
NOTHING: list[bytes] = _Nothing()
