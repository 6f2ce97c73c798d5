"""Takes over what an exactly-once egress of Flink left in Kafka: prepared transactions are committed, others aborted.

    ask the brokers ─▶ judge each ─▶ refuse, or ─▶ commit · abort

A prepared one holds output of what the savepoint has. One whose epoch has moved on was ended by somebody else: by the
broker after its timeout, which loses its records, or by the old job that went on, so that the savepoint is old.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from aiokafka.errors import (
    ConcurrentTransactions,
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    InvalidTxnState,
    KafkaError,
    NotCoordinatorError,
    ProducerFenced,
)

from statefun_runtime.connectors.kafka.client import transactions
from statefun_runtime.connectors.kafka.client.arguments import (
    connection_arguments,
    producer_arguments,
)
from statefun_runtime.connectors.kafka.client.clients import AIOKAFKA, KafkaClients
from statefun_runtime.connectors.kafka.client.transactions import Described
from statefun_runtime.connectors.kafka.settings.values import KafkaEgressSettings
from statefun_runtime.errors import UnavailableError

_ANSWER_S = 30.0
_PAUSE_S = 0.2
_PUT_OFF = (
    ConcurrentTransactions,
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    NotCoordinatorError,
)
_ENDED_BY_OTHERS = (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    InvalidTxnState,
    ProducerFenced,
)
_OPEN = ("Ongoing",)
_COMMITTED = ("PrepareCommit", "CompleteCommit")
_ABORTED = ("PrepareAbort", "CompleteAbort", "PrepareEpochFence")


@dataclass(frozen=True, slots=True)
class Left:
    """A transaction that Flink left, as its savepoint names it."""

    transactional_id: str
    producer_id: int
    epoch: int
    started_ms: int
    is_prepared: bool


class Standing(Enum):
    """What is to be done about a transaction, or what has become of it."""

    TO_COMMIT = "open, to be committed"
    TO_ABORT = "open, to be aborted"
    COMMITTED = "committed already"
    ENDED = "has ended"
    EXPIRED = "aborted by the broker when its timeout had passed: its records are lost"
    FENCED = "ended by the old job, which has gone on after this savepoint"
    UNKNOWN = "not told by this broker"
    GONE = "cannot be committed any more: its timeout had passed, or the old job has gone on after this savepoint"


LOST = (Standing.EXPIRED, Standing.FENCED, Standing.GONE)


def judge(left: Left, described: Described | None, now_ms: int) -> Standing:
    """Decide what a transaction is, from what the broker knows of its id now."""
    if described is None:
        return Standing.UNKNOWN
    is_same = (described.producer_id, described.epoch) == (left.producer_id, left.epoch)
    if not left.is_prepared:
        return Standing.TO_ABORT if described.state in _OPEN and is_same else Standing.ENDED
    if is_same and described.state in _OPEN:
        return Standing.TO_COMMIT
    if is_same and described.state in _COMMITTED:
        return Standing.COMMITTED
    is_late = not described.state or now_ms >= left.started_ms + described.timeout_ms
    is_aborted = not described.state or described.state in _ABORTED
    return Standing.EXPIRED if is_aborted and is_late else Standing.FENCED


class Takeover:
    """The transactions that one egress left, and the cluster that holds them; close it."""

    def __init__(
        self,
        spec: KafkaEgressSettings,
        left: Sequence[Left],
        pool: Iterable[str],
        clients: KafkaClients = AIOKAFKA,
    ) -> None:
        self._spec, self._left = spec, left
        named = {one.transactional_id for one in left}
        self._pool = sorted(set(pool) - named)
        arguments = connection_arguments(producer_arguments(spec))
        self._admin = clients.make_admin(arguments)

    async def start(self) -> None:
        """Reach the cluster; raise UnavailableError if that cannot be done."""
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._admin.start()
        except (KafkaError, OSError, TimeoutError) as error:
            raise self._away("reached", error) from error

    async def standings(self, now_ms: int) -> list[tuple[Left, Standing]]:
        """Return what each transaction is now."""
        try:
            async with asyncio.timeout(_ANSWER_S):
                return [
                    (
                        one,
                        judge(
                            one,
                            await transactions.describe(self._admin, one.transactional_id),
                            now_ms,
                        ),
                    )
                    for one in self._left
                ]
        except (KafkaError, OSError, TimeoutError) as error:
            raise self._away("asked for its transactions", error) from error

    async def take_over(self, now_ms: int) -> list[tuple[Left, Standing]]:
        """Commit what is prepared, then abort what is open, also under other ids of the pool; it can be repeated.

        Return what each was before; what is lost is left as it is, and known only now where the broker does not tell.
        Raise UnavailableError if not all could be ended.
        """
        standings = await self.standings(now_ms)
        gone: list[Left] = []
        try:
            for one, standing in sorted(standings, key=lambda each: not each[0].is_prepared):
                if standing in (Standing.TO_COMMIT, Standing.TO_ABORT, Standing.UNKNOWN):
                    gone += await self._end(one)
            for transactional_id in self._pool:
                await self._fence(transactional_id)
        except (KafkaError, OSError, TimeoutError) as error:
            raise self._away("made to end all transactions", error) from error
        return [(one, Standing.GONE if one in gone else standing) for one, standing in standings]

    async def _end(self, one: Left) -> list[Left]:
        """End a transaction; return it if its records are lost."""

        async def end() -> None:
            who = (one.transactional_id, one.producer_id, one.epoch)
            await transactions.end(self._admin, *who, commit=one.is_prepared)

        try:
            await _until_done(end)
        except _ENDED_BY_OTHERS:
            # An open one that was empty, or has ended, needs nothing.
            return [one] if one.is_prepared else []
        return []

    async def _fence(self, transactional_id: str) -> None:
        described = await transactions.describe(self._admin, transactional_id)
        # Who does not tell may hold one that is open.
        if described is None or described.state in _OPEN:
            await _until_done(lambda: transactions.fence(self._admin, transactional_id))

    async def close(self) -> None:
        """Leave the cluster."""
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._admin.close()
        except (KafkaError, OSError, TimeoutError):
            return

    def _away(self, what: str, error: BaseException) -> UnavailableError:
        return UnavailableError(
            f"egress '{self._spec.id}': the cluster at {self._spec.bootstrap_servers} cannot be {what}: "
            f"{type(error).__name__}: {error}",
            code="SF3030",
            hint="the same again later may work, as long as transactionTimeout has not passed",
        )


async def _until_done(work: Callable[[], Awaitable[None]]) -> None:
    """Do something that a coordinator may put off: while it ends the transaction before, or is being moved."""
    async with asyncio.timeout(_ANSWER_S):
        while True:
            try:
                return await work()
            except _PUT_OFF:
                await asyncio.sleep(_PAUSE_S)
