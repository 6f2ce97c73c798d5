"""What an operator sees of parked addresses, and may do with them; each change is durable before it is answered."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from statefun_runtime.core.model.address import Address, TypeName
from statefun_runtime.core.partition.backlog import PARKED, Backlog
from statefun_runtime.engine.checkpoints.checkpointing import Checkpointing
from statefun_runtime.engine.dispatch.dispatcher import Dispatcher
from statefun_runtime.engine.dispatch.exchange import Exchange
from statefun_runtime.errors import ConfigError
from statefun_runtime.ports.clock import Clock


@dataclass(frozen=True, slots=True)
class Selection:
    """Which parked addresses are meant: one, those of a function type, or all."""

    address: Address | None = None
    function_type: TypeName | None = None


class ParkedAddresses:
    """Shows, releases and skips."""

    def __init__(self, exchange: Exchange, checkpointer: Checkpointing, clock: Clock) -> None:
        self._exchange = exchange
        self._checkpointer = checkpointer
        self._clock = clock

    def show(self, selection: Selection, *, limit: int) -> dict[str, Any]:
        """Return the number of parked addresses, and so many of them in detail, oldest first."""
        found = list(self._find(selection))
        found.sort(key=lambda one: _parked_ms(one[1]))
        return {
            "total": len(found),
            "parked": [
                self._describe(dispatcher, backlog) for dispatcher, backlog in found[:limit]
            ],
        }

    async def release(self, selection: Selection) -> dict[str, Any]:
        """Have addresses tried at once, with a whole budget; return how many."""
        released = 0
        for dispatcher, backlog in self._required(selection):
            if backlog.phase == PARKED:
                dispatcher.policy.release(backlog)
                released += 1
        return {"released": released}

    async def skip(self, selection: Selection) -> dict[str, Any]:
        """Give up the invocation that holds each address up; return how many were, when that is durable.

        A retry that is under way is taken back. Only a reply that is in hand, and waits until changes may be made, is
        applied first; the invocation is given up if it cannot be.
        """
        skipped = under_way = 0
        refused = []
        for dispatcher, backlog in self._required(selection):
            if backlog.phase != PARKED and not dispatcher.withdraw(backlog):
                assert backlog.failing is not None
                backlog.failing.is_unwanted = True
                under_way += 1
                continue
            reason = dispatcher.skip(backlog)
            if reason is None:
                skipped += 1
            else:
                refused.append(f"{backlog.address}: {reason}")
        await self._checkpointer.saved()
        return {"skipped": skipped, "under_way": under_way, "refused": refused}

    def _required(self, selection: Selection) -> list[tuple[Dispatcher, Backlog]]:
        found = list(self._find(selection))
        if selection.address is not None and not found:
            raise ConfigError(
                f"{selection.address} is not parked",
                code="SF1053",
                hint="`statefun-worker parked list` shows which are",
            )
        return found

    def _find(self, selection: Selection) -> Iterator[tuple[Dispatcher, Backlog]]:
        dispatchers = {one.function: one for one in self._exchange.dispatchers}
        address, wanted = selection.address, selection.function_type
        if address is not None:
            function = self._exchange.resolve(address.type)
            backlog = function.backlogs.get(address.id) if function is not None else None
            if backlog is not None and self._exchange.partitions.has_parked(backlog):
                yield dispatchers[backlog.function], backlog
                return
            # As it was printed: with what cannot be printed escaped, and the end of a long id left out.
            shown = f"{address.type}/{address.id}"
            for partition in self._exchange.partitions:
                for other in list(partition.failures.parked):
                    if str(other.address) == shown:
                        yield dispatchers[other.function], other
            return
        for partition in self._exchange.partitions:
            for backlog in list(partition.failures.parked):
                if wanted is None or backlog.function.type == wanted:
                    yield dispatchers[backlog.function], backlog

    def _describe(self, dispatcher: Dispatcher, backlog: Backlog) -> dict[str, Any]:
        failing = backlog.failing
        assert failing is not None
        return {
            "function": str(dispatcher.function.type),
            "id": backlog.id,
            "endpoint": dispatcher.function.url,
            "parked_s": max(0, self._clock.now_ms() - failing.parked_ms) / 1000,
            "attempts": failing.attempts,
            "next_try_s": dispatcher.policy.pause_left_s(backlog) if failing.pause else 0.0,
            "waiting": len(backlog.in_flight) + backlog.waiting_count,
            "error": failing.reason,
        }


def _parked_ms(backlog: Backlog) -> int:
    assert backlog.failing is not None
    return backlog.failing.parked_ms
