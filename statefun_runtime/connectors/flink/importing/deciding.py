"""What of a savepoint can be carried, decided before anything is written; what cannot is named, and left out on request.

--without NS/NAME   a function type       operator:UID   channels:UID   state:NAME   payload:CLASS
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from statefun_runtime.connectors.flink.files.damage import Damage
from statefun_runtime.connectors.flink.importing.names import Ambiguity, Resolved
from statefun_runtime.connectors.flink.importing.report import LeftOut, TransactionState
from statefun_runtime.connectors.flink.importing.sorting import Seen
from statefun_runtime.connectors.flink.rows.operator_rows import (
    UNRESOLVED,
    ForeignElements,
    Offset,
    OperatorRow,
    Pool,
    Transaction,
)
from statefun_runtime.connectors.flink.rows.savepoint import FUNCTIONS, LOOP, KnownOperator
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.errors import ConfigError, CorruptionError, StatefunError

_TOLD_DAMAGES = 20


@dataclass(frozen=True, slots=True)
class Ends:
    """What the ends of the application keep: positions by ingress, transactions, and what cannot be carried."""

    positions: dict[str, dict[str, int]]
    unresolved: list[str]
    transactions: list[TransactionState]
    left_out: list[LeftOut]
    pools: dict[str, list[str]]


def decide_ends(
    rows: Iterable[tuple[KnownOperator, list[OperatorRow]]],
    ingresses: Mapping[str, str],
    egresses: Mapping[str, str],
    split_name: Callable[[str, int], str],
) -> Ends:
    """Decide what becomes of the state of operators; `ingresses` and `egresses` are ids of the module by uid."""
    ends = Ends({}, [], [], [], {})
    for known, some in rows:
        channels = sum(one.has_channel_state for one in known.operator.subtasks)
        if channels:
            what = "subtasks with messages in network buffers, of an unaligned checkpoint: take a savepoint"
            ends.left_out.append(LeftOut(f"channels:{known.name}", channels, what))
        if known.uid in (FUNCTIONS, LOOP):
            continue
        if known.uid is None:
            if _has_state(known):
                what = "subtasks with state of an operator that the module does not name"
                ends.left_out.append(LeftOut(f"operator:{known.operator.id}", _count(known), what))
            continue
        for row in some:
            _decide(row, known.name, ends, ingresses, egresses, split_name)
    return ends


def _has_state(known: KnownOperator) -> bool:
    return _count(known) > 0


def _count(known: KnownOperator) -> int:
    return sum(
        1
        for one in known.operator.subtasks
        if one.operator_state or one.raw_operator_state or one.keyed or one.raw_keyed
    )


def _decide(
    row: OperatorRow,
    uid: str,
    ends: Ends,
    ingresses: Mapping[str, str],
    egresses: Mapping[str, str],
    split_name: Callable[[str, int], str],
) -> None:
    match row:
        case Offset(topic, partition):
            ingress, split = ingresses[uid], split_name(topic, partition)
            next_ = row.next
            if next_ is not None:
                ends.positions.setdefault(ingress, {})[split] = next_
            else:
                begin = UNRESOLVED[row.last]
                ends.unresolved.append(
                    f"{split}: nothing was read of it, it was to begin at {begin}; it begins as a new one"
                )
        case Transaction(id_, producer, epoch, started_ms, is_prepared):
            egress = egresses[uid]
            state = TransactionState(egress, id_, producer, epoch, started_ms, is_prepared)
            ends.transactions.append(state)
        case ForeignElements(state, serializer, count):
            what = f"elements of state {state!r} ({serializer})"
            ends.left_out.append(LeftOut(f"operator:{uid}", count, what))
        case Pool(ids):
            ends.pools.setdefault(egresses[uid], []).extend(ids)


def decide_left_out(
    seen: Seen, ends: Ends, without: Collection[str], without_types: Collection[TypeName]
) -> list[LeftOut]:
    """Return what is not carried; raise ConfigError if the operator has not agreed to all of it."""
    items = [*ends.left_out, *_foreign(seen)]
    agreed = [LeftOut(one.name, one.count, one.what, one.name in without) for one in items]
    refused = [one for one in agreed if not one.is_agreed]
    known = {one.name for one in items} | {str(one) for one in without_types}
    known |= {f"state:{name}" for name in seen.names}
    unknown = sorted(set(without) - known)
    if unknown:
        raise ConfigError(
            f"--without {unknown[0]}: the savepoint has nothing of that name",
            code="SF1125",
            hint=f"there is {', '.join(sorted(known))}" if known else "all of it can be carried",
        )
    if refused:
        raise cannot_carry(refused)
    return agreed


def _foreign(seen: Seen) -> Iterator[LeftOut]:
    for state, (count, serializer) in sorted(seen.foreign.items()):
        what = f"rows of state that only a function in Java can read ({serializer})"
        yield LeftOut(f"state:{state}", count, what)
    for class_name, count in sorted(seen.payloads.items()):
        yield LeftOut(
            f"payload:{class_name}", count, "messages that only a function in Java can read"
        )


def cannot_carry(items: Collection[LeftOut]) -> StatefunError:
    """Return the error that lists what cannot be carried."""
    listed = "".join(f"\n  {one.name}: {one.count} {one.what}" for one in items)
    return ConfigError(
        f"not all of the savepoint can be carried:{listed}",
        code="SF1121",
        hint="to leave something out on purpose, say --without NAME for each",
    )


def ambiguous_names(ambiguous: Collection[Ambiguity]) -> StatefunError:
    """Return the error that asks for function types."""
    listed = "".join(f"\n  {one}" for one in ambiguous)
    first = ambiguous_type(next(iter(ambiguous)))
    return ConfigError(
        f"the savepoint writes function types with dots, and these can be read in several ways:{listed}",
        code="SF1122",
        hint=f"say which it is, for each: --function {first}",
    )


def ambiguous_type(one: Ambiguity) -> TypeName:
    """Return a reading to give as an example."""
    return (one.plausible or one.candidates)[-1]


def check_names(resolved: Resolved, without: Collection[str]) -> None:
    """Raise ConfigError where a name has more than one reading, or none; what is left out needs none."""
    open_ones = [one for one in resolved.ambiguous if f"state:{one.dotted}" not in without]
    nameless = [one for one in open_ones if not one.candidates]
    if nameless:
        what = "function with a type that no worker can have"
        raise cannot_carry([LeftOut(f"state:{one.dotted}", 1, what) for one in nameless])
    if open_ones:
        raise ambiguous_names(open_ones)


def damaged(found: Collection[Damage], count: int) -> StatefunError:
    """Return the error that lists damage."""
    listed = "".join(f"\n  {one}" for one in list(found)[:_TOLD_DAMAGES])
    more = f"\n  and {count - _TOLD_DAMAGES} more" if count > _TOLD_DAMAGES else ""
    return CorruptionError(
        f"the savepoint is damaged in {count} places:{listed}{more}",
        code="SF5021",
        hint="copy it from where it was made once more; to go on without what is lost, say --accept-damage",
    )
