"""Compares a history with its model: each effect once, per key in order, and nothing else."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from statefun_runtime.adapters.storage.commit_log_folder import CommitLogFolder
from statefun_runtime.adapters.storage.object_folder import ObjectFolder
from statefun_runtime.core.checkpoints.commits import Entry, History, Started, read_entry
from statefun_runtime.core.checkpoints.manifest import ObjectId
from statefun_runtime.core.model.keys import (
    CHUNK,
    CHUNK_INDEX,
    PARKED,
    STATE,
    TALLY,
    TIMER,
    TOKEN,
    parse_address_key,
)
from statefun_runtime.core.model.state import decode_row
from statefun_runtime.engine.checkpoints.recovery import open_live, read_manifest
from tests.fakes.off_loop import AT_ONCE, result_of
from tests.simulation.kafka.wire import fields
from tests.simulation.machine.fake_disk import DiskCalls, FakePath
from tests.simulation.machine.state_store import DictStore
from tests.simulation.programs import Expected, expect

if TYPE_CHECKING:
    from tests.simulation.world import World

Told = tuple[str, int, str, str, str]


def missing(world: "World") -> list[tuple[str, str, str]]:
    """Return which effects are not visible yet: (egress, address, text)."""
    expected = _expected(world)
    buried = set(_buried(world))
    lost = [
        ("dead", address, text)
        for (address, text), is_required in expected.dead.items()
        if is_required and (address, text) not in buried
    ]
    told = {
        "out": {(address, text) for address, _, _, _, text in _told(world, "out")},
        "alo": {(address, text) for address, _, _, _, text in _told(world, "alo")},
        "web": {(one[0], one[4]) for one in map(parse, world.traffic.web)},
    }
    return lost + [
        (egress, address, text)
        for address, text in expected.required
        for egress in world.program.told_to(address, text)
        if (address, text) not in told[egress]
        and (egress == "web" or (address, text) not in world.operator.dropped)
    ]


def has_optional(world: "World") -> bool:
    """Return whether something may still happen that need not."""
    expected = _expected(world)
    return bool(expected.optional) or not all(expected.dead.values())


def check_rest(world: "World") -> list[str]:
    """Return what is wrong at the end, beside what is missing."""
    expected = _expected(world)
    allowed = {**expected.required, **expected.optional}
    out = _told(world, "out")
    times = _lineage_count(world)
    problems = list(_check_once(out, allowed, "out", times, _dropped_times(world)))
    has_dropped = bool(world.operator.dropped)
    problems += _check_counts(out, has_gaps=has_dropped, times=times)
    # Where messages are given up, those of one caller have gaps.
    problems += _check_order(out, has_gaps=world.is_buried or has_dropped, times=times)
    problems += _check_buried(list(_buried(world)), expected.dead, times)
    if times > 1 + world.operator.decisions:
        problems.append(f"{times} lineages began, and {world.operator.decisions} were asked for")
    if len(world.traffic.web_lineages) > times:
        problems.append(f"the reader was told of {len(world.traffic.web_lineages)} lineages")
    if world.traffic.came_back and not world.has_zombies:
        problems.append(f"what was acknowledged came back: {world.traffic.came_back[:3]}")
    for read in world.traffic.web_lineages:
        web = [parse(payload) for payload in read]
        # Nothing outside fences what is read over HTTP: a copy answers a reader of the original.
        problems += _check_once(web, allowed, "web", 2 if world.is_copied else 1)
        problems += [] if world.is_copied else _check_ascending(web)
    # The original of a copied folder may have begun before the copy, and tells it at once.
    ever = _expected(world, is_latest=False) if world.is_copied else expected
    known = {**ever.required, **ever.optional}
    problems += [
        f"alo has {text} at {address}, which never was"
        for address, _, _, _, text in _told(world, "alo")
        if (address, text) not in known
    ]
    if not problems and not world.failures and not world.is_given_up:
        problems += _check_state(world, out)
    return problems


def _expected(world: "World", *, is_latest: bool | None = None) -> Expected:
    """Return what follows from all that was sent, from where a reader began on that begins at the end."""
    required, optional = [], []
    is_latest = world.is_latest if is_latest is None else is_latest
    for split, offset, key, text in world.sent.kafka:
        roots = [(f"{name}/{key}", text) for name in "ab"]
        if is_latest and offset < world.first_seen.get(split, 1 << 60):
            continue
        required += roots
    required += world.sent.taken
    optional += world.sent.unclear
    return expect(world.program, required, optional)


def _told(world: "World", topic: str) -> list[Told]:
    told = []
    for records in world.cluster.committed(topic):
        for record in records:
            assert record.value is not None
            told.append(parse(record.value.decode()))
    return told


def parse(value: str) -> Told:
    """Take apart what a function told an egress."""
    address, count, caller, sequence, text = value.split("|")
    return address, int(count), caller, sequence, text


def is_whole(world: "World", object_id: ObjectId) -> bool:
    """Return whether an operator may begin at a checkpoint: all of it is there, and it says where to read on."""
    disk: Any = DiskCalls(world.disk)
    folder: Any = world.folder / "objects"
    objects = ObjectFolder(folder, AT_ONCE, sweep=False, disk=disk)
    there = result_of(objects.ids())
    link: ObjectId | None = object_id
    while link is not None:
        if link not in there:
            return False
        manifest = result_of(read_manifest(objects, link))
        needed = manifest.objects() if link == object_id else (o.object for o in manifest.outboxes)
        if not {one.id for one in needed} <= there:
            return False
        link = manifest.pending_parent
    return "sim/in" in result_of(read_manifest(objects, object_id)).positions


def _lineage_count(world: "World") -> int:
    """Return how often what an application published may be published: once by each of its lineages."""
    return len(_lineages(world, [*world.operator.left, world.folder]))


def _lineages(world: "World", folders: Iterable[FakePath]) -> set[str]:
    entries = [entry for folder in folders for entry in _entries(world, folder)]
    return {entry.lineage for entry in entries if isinstance(entry, Started)}


def _entries(world: "World", folder: FakePath) -> Iterable[Entry]:
    """Return what the commit log says, in a folder or in a topic."""
    if not world.cluster_size:
        disk: Any = DiskCalls(world.disk)
        log: Any = folder / "log"
        return result_of(CommitLogFolder(log, AT_ONCE, disk=disk).read())
    content: dict[bytes, bytes] = {}
    for record in world.cluster.committed("statefun-sim-log")[0]:
        assert record.key is not None
        content.pop(record.key, None)
        if record.value is not None and record.key != b"leader":
            content[record.key] = record.value
    return [read_entry(json.loads(value)) for value in content.values()]


def _dropped_times(world: "World") -> dict[tuple[str, str], int]:
    """Return of what applications dropped, being told to, how many lineages they are, which never publish it."""
    times: dict[tuple[str, str], int] = {}
    for place, by in world.operator.dropped.items():
        times[place] = len(_lineages(world, by))
    return times


def _check_once(
    told: Iterable[Told],
    allowed: dict[tuple[str, str], None],
    egress: str,
    times: int = 1,
    dropped: Mapping[tuple[str, str], int] = MappingProxyType({}),
) -> Iterator[str]:
    """Once by each lineage that did not drop it."""
    seen: dict[tuple[str, str], int] = {}
    for address, _, _, _, text in told:
        seen[address, text] = seen.get((address, text), 0) + 1
        if seen[address, text] > times - dropped.get((address, text), 0):
            yield f"{egress} has {text} at {address} {seen[address, text]} times"
        elif (address, text) not in allowed:
            yield f"{egress} has {text} at {address}, which must not be"


def _check_counts(told: Iterable[Told], *, has_gaps: bool, times: int) -> Iterator[str]:
    """The records of a key lie in one topic partition, with counts 1, 2, 3 and so on.

    A lineage that begins at an older checkpoint goes on behind some count that was told before: further back, or ahead
    of a lineage that had gone further back.
    """
    last: dict[str, int] = {}
    known: dict[str, set[int]] = {}
    begun: dict[str, int] = {}
    for address, count, _, _, text in told:
        before, counts = last.get(address, 0), known.setdefault(address, {0})
        is_next = count == before + 1 or (has_gaps and count > before)
        if not is_next:
            begun[address] = begun.get(address, 0) + 1
            if begun[address] >= times or not (has_gaps or count - 1 in counts):
                yield f"out has count {count} ({text}) at {address} after {before}"
        last[address] = count
        counts.add(count)


def _buried(world: "World") -> Iterator[tuple[str, str]]:
    """Yield address and text of every dead letter."""
    for records in world.cluster.committed("dead"):
        for record in records:
            assert record.value is not None
            letter = json.loads(record.value)
            address = f"{letter['target']['type'].partition('/')[2]}/{letter['target']['id']}"
            yield address, letter["argument"]["text"].partition("|")[0]


def _check_buried(
    buried: list[tuple[str, str]], dead: dict[tuple[str, str], bool], times: int
) -> Iterator[str]:
    for place in dict.fromkeys(buried):
        if place not in dead:
            yield f"{place} is a dead letter, and is no poison"
        if buried.count(place) > times:
            yield f"{place} is a dead letter {buried.count(place)} times"


def _check_order(told: Iterable[Told], *, has_gaps: bool, times: int) -> Iterator[str]:
    """Messages of one caller to one target, and records of one split to one target, come in order."""
    last: dict[tuple[str, str], int] = {}
    backs: dict[tuple[str, str], int] = {}
    for address, _, caller, sequence, text in told:
        if sequence == "-":
            continue
        split, _, number = sequence.rpartition(":")
        place = (address, caller or split)
        before = last.get(place, -1 if split else 0)
        is_next = split or has_gaps or int(number) == before + 1
        if int(number) <= before:
            backs[place] = backs.get(place, 0) + 1
        is_back = int(number) <= before and backs[place] < times
        if not is_back and (int(number) <= before or not is_next):
            yield f"{address} got {text} with {sequence} from {caller or 'ingress'} after {before}"
        last[place] = int(number)


def _check_ascending(told: Iterable[Told]) -> Iterator[str]:
    """What a reader by cursor sees of one address is in order of its counts."""
    last: dict[str, int] = {}
    for address, count, _, _, text in told:
        if count <= last.get(address, 0):
            yield f"web has count {count} ({text}) at {address} after {last[address]}"
        last[address] = count


def _check_state(world: "World", out: list[Told]) -> Iterator[str]:
    """The last checkpoint holds the counts that were told, and nothing that is still to be done."""
    counts: dict[str, int] = {}
    for address, count, _, _, _ in out:
        counts[address] = count
    root = world.folder
    disk: Any = DiskCalls(world.disk)
    folders: Any = (root / "objects", root / "log")
    objects = ObjectFolder(folders[0], AT_ONCE, sweep=False, disk=disk)
    history = History(tuple(_entries(world, root)))
    for entry in history.completed[-world.checkpoints_kept :]:
        manifest = result_of(read_manifest(objects, entry.manifest))
        if {stored.id for stored in manifest.objects()} - result_of(objects.ids()):
            yield f"checkpoint {entry.epoch} is kept, and not whole"
    manifest = result_of(read_manifest(objects, history.completed[-1].manifest))
    if any(part.in_transit for part in manifest.parts):
        yield "messages are left between workers"
    open_store: Any = lambda folder: DictStore(folder, lambda: None)  # noqa: E731
    numbers = itertools.count()
    scratch: Any = lambda: root / f"check-{next(numbers)}"  # noqa: E731
    store, heads = result_of(open_live(manifest.whole(), objects, scratch, open_store, AT_ONCE))
    if heads:
        yield f"{len(heads)} backlogs are left"
    stored: dict[str, int] = {}
    for key, row in store.scan(b""):
        kind = key[2:3]
        if kind in (CHUNK, CHUNK_INDEX, TIMER, TOKEN, TALLY, PARKED) and key[:2] != b"\xff\xff":
            yield f"a row is left: {key!r}"
        if kind == STATE and key[:2] != b"\xff\xff":
            owner = parse_address_key(key)
            content = dict(fields(decode_row(row).fields["s"]))
            state = json.loads(dict(fields(dict(fields(content[2]))[2]))[3])
            stored[f"{owner.type.name}/{owner.id}"] = state["n"]
    for address, _ in world.operator.dropped:
        # The last that was told may have been dropped.
        assert counts.setdefault(address, 0) <= stored[address]
        counts[address] = stored[address]
    if world.operator.decisions:
        # The last lineage may still have to publish anew what the ones that were left have told.
        apart = _told_apart(world, out)
        for address, count in counts.items():
            if address in apart or count <= stored.get(address, 0):
                counts[address] = stored[address] = stored.get(address, 0)
    if stored != counts:
        yield f"the state counts {stored}, told was {counts}"


def _told_apart(world: "World", out: list[Told]) -> set[str]:
    """Return where a lineage that was left may have told what the last one never has: what need not happen."""
    optional = _expected(world).optional if world.operator.decisions else {}
    return {address for address, _, _, _, text in out if (address, text) in optional}
