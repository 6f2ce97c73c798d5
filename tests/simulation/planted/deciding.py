"""Planted bugs of what is decided in a cluster: who is there, who leads, who has which slot, and who is asked."""

from tests.simulation.planted.mutant import Mutant

_CORE = "tests/unit/core/cluster"
_PRESENCE = "core/cluster/presence.py"
_HOME, _HOME_TEST = "app/cluster/home.py", "tests/unit/app/test_cluster_home.py"
_FAR_TEST = "tests/unit/adapters/test_far_workplace.py"


def decided(name: str, test: str, file: str, before: str, after: str) -> Mutant:
    """Return a bug of one edit that a unit test catches: in a history others make up for it, sooner or later."""
    return Mutant(name, ((file, before, after),), test)


MUTANTS: tuple[Mutant, ...] = (
    decided(
        "take who is silent for present",
        f"{_CORE}/test_presence.py",
        _PRESENCE,
        "        return self.beats - heard.last < SILENT_BEATS\n",
        "        return True\n",
    ),
    decided(
        "let nobody follow who is silent in the lead",
        f"{_CORE}/test_presence.py",
        _PRESENCE,
        "self.leader is None and self.beats - self._led >=",
        "not self._led and self.beats >=",
    ),
    decided(
        "follow the earlier of two that lead",
        f"{_CORE}/test_presence.py",
        _PRESENCE,
        "        return max(leading, key=lambda name: leading[name], default=None)\n",
        "        return min(leading, key=lambda name: leading[name], default=None)\n",
    ),
    decided(
        "wait for who has laid the lead down",
        f"{_CORE}/test_presence.py",
        _PRESENCE,
        "            # Who has laid the lead down is not waited for.\n            self._led, self._patience = self.beats, 0\n",
        "            self._led, self._patience = self.beats, SILENT_BEATS\n",
    ),
    decided(
        "read splits in places that nobody has",
        f"{_CORE}/test_plan.py",
        "core/cluster/plan.py",
        "        return slots[(crc32(name.encode()) + number) % len(slots)]\n",
        "        return (crc32(name.encode()) + number) % len(slots)\n",
    ),
    decided(
        "put a worker that comes in front of all others",
        f"{_CORE}/test_plan.py",
        "core/cluster/plan.py",
        "        line.insert(max(places, key=lambda place: (kept[place], place)), slot)\n",
        "        line.insert(0, slot)\n",
    ),
    decided(
        "leave a process more slots than it has seats",
        f"{_CORE}/test_seating.py",
        "core/cluster/seating.py",
        "        if taken[process] < offers.get(process, 0):\n",
        "        if process in offers:\n",
    ),
    decided(
        "cut twice at two barriers of one epoch",
        f"{_CORE}/test_alignment.py",
        "core/cluster/alignment.py",
        "        return epoch > self.epoch\n",
        "        return epoch >= self.epoch\n",
    ),
    decided(
        "say at a barrier that the epoch before is complete, whatever it was",
        f"{_CORE}/test_frames.py",
        "core/cluster/frames.py",
        '    return epoch, frame[offset:] == b"\\1"\n',
        "    return epoch, True\n",
    ),
    decided(
        "leave workers of a plan that did not come about",
        _FAR_TEST,
        "adapters/team/far_workplace.py",
        "            for number in numbers.values():\n                self.kill(number)\n",
        "",
    ),
    decided(
        "hold a place of checkpoints that another life holds",
        "tests/unit/adapters/storage/test_claimed_log.py",
        "adapters/storage/claimed_log.py",
        "        if not await self._place.hold(_content(entry), instead_of=found):\n            raise fenced(self._where)\n",
        "        await self._place.hold(_content(entry), instead_of=found)\n",
    ),
    decided(
        "take an outbox for published one epoch too early",
        "tests/unit/core/checkpoints/test_settling.py",
        "core/checkpoints/settling.py",
        ">= outbox.epoch\n",
        ">= outbox.epoch - 1\n",
    ),
    decided(
        "ask for results where they were in an earlier life",
        _HOME_TEST,
        _HOME,
        "holder = max(others",
        "holder = min(others",
    ),
    decided(
        "wait for results of a process that has them no more",
        _HOME_TEST,
        _HOME,
        "            if name not in present or present[name].home != home:\n",
        "            if name not in present:\n",
    ),
    decided(
        "show results of a worker here that another life has replaced",
        _HOME_TEST,
        _HOME,
        "(holder is None or lodger.incarnation >= holder[1])",
        "True",
    ),
)
