"""What processes and cores consumed between two moments, read from /proc."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
# A core this busy has nothing left to give.
SATURATED = 0.9


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used in `wall_s` seconds: CPU seconds per group, and the busy share of each core."""

    wall_s: float
    cpu_s: Mapping[str, float]
    core_shares: Mapping[int, float]

    def cpu_us_per(self, count: int) -> dict[str, float]:
        return {group: round(s / max(count, 1) * 1e6, 1) for group, s in self.cpu_s.items()}

    def cpu_shares(self) -> dict[str, float]:
        return {group: round(s / self.wall_s, 3) for group, s in self.cpu_s.items()}

    def saturated(self, owners: Mapping[int, str]) -> str:
        """Name the cores that had nothing left, by who owns them; others are not looked at."""
        full = [
            f"{owner} (core {core}, {share:.0%})"
            for core, owner in owners.items()
            if (share := self.core_shares.get(core, 0.0)) >= SATURATED
        ]
        return ", ".join(full) or "nothing"


class Meter:
    """Measures groups of processes, each with those descendants that are in no group of their own."""

    def __init__(self, groups: Mapping[str, int | Sequence[int]]) -> None:
        self._groups = {
            name: [root] if isinstance(root, int) else list(root) for name, root in groups.items()
        }
        self._start_s = 0.0
        self._cpu: dict[str, float] = {}
        self._cores: dict[int, tuple[int, int]] = {}

    def start(self) -> None:
        self._cpu = self._read_groups()
        self._cores = _read_cores()
        self._start_s = time.perf_counter()

    def stop(self) -> Usage:
        wall_s = time.perf_counter() - self._start_s
        cpu = {g: s - self._cpu[g] for g, s in self._read_groups().items()}
        return Usage(wall_s, cpu, core_shares(self._cores, _read_cores()))

    def _read_groups(self) -> dict[str, float]:
        every = frozenset(pid for roots in self._groups.values() for pid in roots)
        return {
            group: sum(_cpu_s(process_tree(pid, without=every)) for pid in roots)
            for group, roots in self._groups.items()
        }


def process_tree(root: int, *, without: frozenset[int] = frozenset()) -> list[int]:
    """Return the process and its descendants that are alive, without the trees of others."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat_fields(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += [child for child in children.get(pid, []) if child not in without]
    return [pid for pid in found if _stat_fields(pid)]


def rss_bytes(pid: int) -> int:
    """Return resident memory of a process; raise FileNotFoundError if it has ended."""
    pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def tree_memory_mb(root: int) -> dict[str, float]:
    """Return resident memory of the process tree, now and at its peak."""
    sums = {"VmRSS": 0, "VmHWM": 0}
    for pid in process_tree(root):
        for line in _read(_PROC / str(pid) / "status").splitlines():
            name, _, value = line.partition(":")
            if name in sums:
                sums[name] += int(value.split()[0])
    return {"rss_mb": round(sums["VmRSS"] / 1024, 1), "peak_mb": round(sums["VmHWM"] / 1024, 1)}


def core_shares(
    before: Mapping[int, tuple[int, int]], after: Mapping[int, tuple[int, int]]
) -> dict[int, float]:
    """Return the busy share of each core, from (busy, all) ticks before and after."""
    shares = {}
    for core, (busy, total) in after.items():
        busy_before, total_before = before.get(core, (0, 0))
        elapsed = total - total_before
        shares[core] = round((busy - busy_before) / elapsed, 3) if elapsed else 0.0
    return shares


def _cpu_s(pids: list[int]) -> float:
    """Return the user and system time that the processes used up to now."""
    return sum(int(t) for pid in pids for t in _stat_fields(pid)[11:13]) / _TICKS_PER_S


def _read_cores() -> dict[int, tuple[int, int]]:
    cores = {}
    for line in _read(_PROC / "stat").splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name != "cpu":
            # user nice system idle iowait irq softirq steal; what follows is part of user.
            ticks = [int(field) for field in fields[:8]]
            total = sum(ticks)
            cores[int(name[3:])] = (total - ticks[3] - ticks[4], total)
    return cores


def _stat_fields(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the command's name; none for a process that is gone."""
    return _read(_PROC / str(pid) / "stat").rpartition(")")[2].split()


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
