"""Who of an application's workers owns which key groups, and reads what: a plan, which one entry of the log holds.

    plan of before + slots that are there now ─▶ assign ─▶ the next plan

Invariants: every key group has one owner; the ranges are contiguous and differ in size by one at most; of all such
plans it is one that moves few key groups. Whoever owns key group 0 is at home: it has the ports of HTTP ingresses and
egresses, whose rows lie there.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from zlib import crc32

from statefun_runtime.core.checkpoints.manifest import ONLY_OWNER, KeyGroups


def owner_name(slot: int) -> str:
    """Return the name under which the worker of a slot writes checkpoints and publishes; slot 0 is who runs alone."""
    return f"worker-{slot}" if slot else ONLY_OWNER


@dataclass(frozen=True, slots=True)
class Member:
    """A worker of the application: its slot, and the key groups that it owns."""

    slot: int
    key_groups: KeyGroups

    @property
    def owner(self) -> str:
        """Its name in checkpoints."""
        return owner_name(self.slot)


@dataclass(frozen=True, slots=True)
class Plan:
    """The members in the order of their key groups; together they own all of them."""

    members: tuple[Member, ...]

    def __post_init__(self) -> None:
        assert self.members
        assert self.members[0].key_groups.first == 0
        for one, other in zip(self.members, self.members[1:], strict=False):
            assert one.key_groups.end == other.key_groups.first

    @property
    def key_group_count(self) -> int:
        """How many key groups there are."""
        return self.members[-1].key_groups.end

    @property
    def slots(self) -> list[int]:
        """The slots in use, in order."""
        return sorted(member.slot for member in self.members)

    @property
    def owners(self) -> list[str]:
        """The names of all members."""
        return [member.owner for member in self.members]

    @property
    def home(self) -> Member:
        """The member that has the application's ports."""
        return self.members[0]

    def member(self, slot: int) -> Member:
        """Return the member in a slot."""
        return next(member for member in self.members if member.slot == slot)

    def slots_by_group(self) -> list[int]:
        """Return the slot of the owner of each key group."""
        return [member.slot for member in self.members for _ in range(len(member.key_groups))]

    def reader(self, name: str, number: int) -> int:
        """Return the slot that reads a split: a partition, by number, of what is called so."""
        slots = self.slots
        return slots[(crc32(name.encode()) + number) % len(slots)]


def alone(key_group_count: int) -> Plan:
    """Return the plan of an application that one worker runs."""
    return Plan((Member(0, KeyGroups(0, key_group_count)),))


def assign(key_group_count: int, slots: Collection[int], before: Plan | None = None) -> Plan:
    """Return a plan for those slots, near to the one of before.

    Members that stay keep their order; each new one is put where that leaves most key groups with who has them.
    """
    assert 0 < len(slots) <= key_group_count
    line: list[int] = []
    if before is not None:
        line = [member.slot for member in before.members if member.slot in slots]
    for slot in sorted(set(slots) - set(line)):
        places = range(len(line) + 1)
        kept = {
            place: _kept(before, [*line[:place], slot, *line[place:]], key_group_count)
            for place in places
        }
        line.insert(max(places, key=lambda place: (kept[place], place)), slot)
    return Plan(tuple(_members(line, key_group_count)))


def moved(before: Plan, after: Plan) -> int:
    """Return how many key groups get another owner."""
    pairs = zip(before.slots_by_group(), after.slots_by_group(), strict=True)
    return sum(one != other for one, other in pairs)


def _members(line: Sequence[int], key_group_count: int) -> Iterable[Member]:
    for place, slot in enumerate(line):
        first = key_group_count * place // len(line)
        yield Member(slot, KeyGroups(first, key_group_count * (place + 1) // len(line)))


def _kept(before: Plan | None, line: Sequence[int], key_group_count: int) -> int:
    if before is None:
        return 0
    old = {member.slot: member.key_groups for member in before.members}
    return sum(
        len(old[member.slot].common(member.key_groups))
        for member in _members(line, key_group_count)
        if member.slot in old
    )
