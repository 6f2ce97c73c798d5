"""The EgressSink port as a list."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from statefun_runtime.core.checkpoints.manifest import Outbox
from statefun_runtime.core.model.metrics import Kind, Metric
from statefun_runtime.ports.egress import RecordRefused

Record = tuple[str, bytes]


class RecordingEgress:
    """An EgressSink; what was emitted is in `left`, unless `is_away`: then it waits."""

    def __init__(self, *, typename: str = "t/record", value_bytes_max: int = 1 << 20) -> None:
        self._typename = typename
        self._value_bytes_max = value_bytes_max
        self._waiting: list[Record] = []
        self.left: list[bytes] = []
        self.is_away = False
        self._is_changed = False

    def prepare(self, typename: str, value: bytes) -> Record:
        if typename != self._typename:
            raise RecordRefused(f"a record must be of type '{self._typename}', found '{typename}'")
        if len(value) > self._value_bytes_max:
            raise RecordRefused(f"a record of {len(value)} bytes is too large")
        return typename, value

    def emit(self, record: Record) -> None:
        self._waiting.append(record)
        self._is_changed = True
        self.publish()

    def publish(self) -> None:
        """Let leave what waits, if the outside is there."""
        if not self.is_away:
            self.left += [value for _, value in self._waiting]
            self._waiting.clear()
            self._is_changed = True

    def backlog_bytes(self) -> int:
        return sum(len(value) for _, value in self._waiting)

    def stored_bytes(self) -> int:
        return 0

    def refused(self) -> tuple[tuple[int, int], ...]:
        return ()

    async def start(self) -> None:
        pass

    async def run(self) -> None:
        pass

    async def flush(self, timeout_s: float) -> None:
        self.publish()

    @property
    def is_transactional(self) -> bool:
        return False

    @property
    def is_changed(self) -> bool:
        return self._is_changed

    def cut(self, epoch: int) -> Sequence[Record] | None:
        if not self._is_changed:
            return None
        self._is_changed = False
        return list(self._waiting)

    def encode(self, records: Sequence[Record]) -> list[bytes]:
        return [value for _, value in records]

    def completed(self, epoch: int, outbox: Outbox | None = None) -> None:
        pass

    def failed(self, epoch: int) -> None:
        self._is_changed = True

    def confirmed_epoch(self) -> int:
        return 0

    def restore(
        self, outbox: Outbox, read: Callable[[], list[bytes]], refused: Iterable[int] = ()
    ) -> None:
        for value in read():
            self.emit((self._typename, value))

    def metrics(self) -> Iterator[Metric]:
        yield Metric("statefun_egress_records", Kind.COUNTER, "records that left", len(self.left))

    async def close(self) -> None:
        pass
