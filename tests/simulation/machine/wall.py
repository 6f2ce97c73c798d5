"""The clocks of a machine whose wall clock can be set."""

from statefun_runtime.adapters.clock import MachineTime
from tests.simulation.machine.loop import START_MS, SimLoop


class Time:
    """`offset_s` is by how much somebody has set the wall clock."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self.offset_s = 0.0

    def clocks(self) -> MachineTime:
        """Return what a process reads the time from."""
        return MachineTime(self._wall_ns, self._boot_ns, self._loop.time)

    def _wall_ns(self) -> int:
        return START_MS * 1_000_000 + int((self._loop.time() - 1000 + self.offset_s) * 1e9)

    def _boot_ns(self) -> int:
        return int(self._loop.time() * 1e9)
