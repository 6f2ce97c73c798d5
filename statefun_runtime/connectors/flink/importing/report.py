"""What an import brings, what it leaves out, and how to check it: for people and for programs."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from statefun_runtime.connectors.flink.files.damage import Damage


@dataclass(slots=True)
class FunctionCounts:
    """What there is of one function type; `delayed` counts the messages to it."""

    addresses: int = 0
    values: int = 0
    in_flight: int = 0
    queued: int = 0
    looped: int = 0
    delayed: int = 0

    @property
    def messages(self) -> int:
        """How many messages wait for it."""
        return self.in_flight + self.queued + self.looped


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that cannot be carried, or is not to be: `name` is what --without takes."""

    name: str
    count: int
    what: str
    is_agreed: bool = False


@dataclass(frozen=True, slots=True)
class TransactionState:
    """A transaction that the savepoint names, by the egress that it is of; `standing` is what the broker says of it."""

    egress: str
    transactional_id: str
    producer_id: int
    epoch: int
    started_ms: int
    is_prepared: bool
    standing: str = ""


@dataclass(slots=True)
class Report:
    """The report of an import, or of what one would do."""

    savepoint: str
    checkpoint_id: int
    metadata_version: int
    is_dry_run: bool
    functions: dict[str, FunctionCounts] = field(default_factory=dict)
    positions: dict[str, dict[str, int]] = field(default_factory=dict)
    unresolved: list[str] = field(default_factory=list)
    transactions: list[TransactionState] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)
    damage_count: int = 0
    remarks: list[str] = field(default_factory=list)
    rows_read: int = 0
    seconds: float = 0.0

    def counts(self, function_type: str) -> FunctionCounts:
        """Return the counts of a function type."""
        return self.functions.setdefault(function_type, FunctionCounts())

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        return asdict(self)


def report_lines(report: Report, state_dir: str) -> Iterator[str]:
    """Yield the report for people."""
    done = "would be imported" if report.is_dry_run else f"imported into {state_dir}"
    yield f"{report.savepoint}: checkpoint {report.checkpoint_id}, {done}"
    yield f"  {report.rows_read} rows read in {report.seconds:.1f} s"
    yield ""
    yield from _function_lines(report)
    yield from _position_lines(report)
    yield from _transaction_lines(report)
    yield from _left_out_lines(report)
    for remark in report.remarks:
        yield f"note: {remark}"
    if not report.is_dry_run:
        yield ""
        yield f"check it:  statefun-worker checkpoints show --state-dir {state_dir}"
        yield f"start it:  statefun-worker --module MODULE --state-dir {state_dir}"


def _function_lines(report: Report) -> Iterator[str]:
    yield "function type                      addresses    values  in flight  queued  in loop  delayed"
    for name, one in sorted(report.functions.items()):
        yield (
            f"{name:<34} {one.addresses:>9} {one.values:>9} {one.in_flight:>10} {one.queued:>7}"
            f" {one.looped:>8} {one.delayed:>8}"
        )
    yield ""


def _position_lines(report: Report) -> Iterator[str]:
    for ingress, positions in sorted(report.positions.items()):
        yield f"ingress {ingress} goes on at"
        for split, next_ in sorted(positions.items()):
            yield f"  {split:<40} {next_:>12}"
    for place in report.unresolved:
        yield f"  {place}"


def _transaction_lines(report: Report) -> Iterator[str]:
    if not report.transactions:
        return
    yield ""
    yield "transactions that Kafka holds open for the old job:"
    for one in report.transactions:
        when = datetime.fromtimestamp(one.started_ms / 1000, UTC).isoformat(" ", "seconds")
        what = "prepared, to be committed" if one.is_prepared else "open, to be aborted"
        yield f"  {one.transactional_id}"
        yield f"    producer {one.producer_id}, epoch {one.epoch}, since {when}: {what}"
        if one.standing:
            yield f"    in Kafka: {one.standing}"


def _left_out_lines(report: Report) -> Iterator[str]:
    if report.left_out:
        yield ""
        yield "left out:"
    for one in report.left_out:
        yield f"  {one.name}: {one.count} {one.what}"
    if report.damage_count:
        yield ""
        yield f"damaged in {report.damage_count} places, and lost there as accepted:"
        for damage in report.damage:
            yield f"  {damage}"
