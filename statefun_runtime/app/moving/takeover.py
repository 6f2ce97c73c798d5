"""The transactions that Flink's egresses left in Kafka: asked for before an import, ended after it."""

import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

from statefun_runtime.connectors.flink.importing.report import TransactionState
from statefun_runtime.connectors.kafka.egress.takeover import LOST, Left, Standing, Takeover
from statefun_runtime.connectors.kafka.specs import KafkaEgressSpec
from statefun_runtime.errors import ConfigError
from statefun_runtime.ports.module import ModuleSpec

Standings = list[tuple[Left, Standing]]
Way = Callable[[Takeover, int], Coroutine[Any, Any, Standings]]


class Takeovers:
    """All transactions that a savepoint names; `pools` are the transactional ids of each egress."""

    def __init__(
        self,
        module: ModuleSpec,
        transactions: Sequence[TransactionState],
        pools: Mapping[str, Sequence[str]],
    ) -> None:
        self._specs = {
            str(spec.id): spec for spec in module.egresses if isinstance(spec, KafkaEgressSpec)
        }
        self._transactions = transactions
        self._pools = pools

    @property
    def is_needed(self) -> bool:
        """Whether there is output that nobody has committed."""
        return any(one.is_prepared for one in self._transactions)

    async def ask(self) -> list[TransactionState]:
        """Return the transactions with what the brokers say of them; raise UnavailableError if they cannot be asked."""
        return await self._each(lambda takeover, now_ms: takeover.standings(now_ms))

    async def end(self) -> list[TransactionState]:
        """Commit what is prepared and abort what is open; raise UnavailableError if that cannot be done."""
        return await self._each(lambda takeover, now_ms: takeover.take_over(now_ms))

    async def _each(self, way: Way) -> list[TransactionState]:
        found: list[TransactionState] = []
        for egress in dict.fromkeys(one.egress for one in self._transactions):
            some = [one for one in self._transactions if one.egress == egress]
            takeover = Takeover(
                self._specs[egress], list(map(_left, some)), self._pools.get(egress, ())
            )
            try:
                await takeover.start()
                standings = await way(takeover, time.time_ns() // 1_000_000)
            finally:
                await takeover.close()
            for one, (_, standing) in zip(some, standings, strict=True):
                found.append(replace(one, standing=standing.value))
        return found


def refuse_lost(found: Sequence[TransactionState], *, is_imported: bool = False) -> None:
    """Raise ConfigError if output of the savepoint is lost, or somebody has gone on after it.

    Brokers before 3.0 tell it only when they are to commit, and then the state `is_imported` already.
    """
    lost = [one for one in found if one.standing in {each.value for each in LOST}]
    if lost:
        listed = "".join(f"\n  {one.transactional_id}: {one.standing}" for one in lost)
        raise ConfigError(
            f"not all output of the savepoint can be committed:{listed}",
            code="SF1131",
            hint="the state folder is imported, and those records are missing: go on without them, or delete the folder"
            if is_imported
            else "where the old job went on, take the savepoint that it was canceled with; to import without those "
            "records, say --egress leave",
        )


def undecided() -> ConfigError:
    """Return the error that asks what is to become of output that nobody has committed."""
    return ConfigError(
        "Kafka holds output of the old job in transactions that are prepared and not committed",
        code="SF1130",
        hint="say --egress commit to commit them when the import is done, or --egress leave if somebody else does",
    )


def _left(one: TransactionState) -> Left:
    return Left(one.transactional_id, one.producer_id, one.epoch, one.started_ms, one.is_prepared)
