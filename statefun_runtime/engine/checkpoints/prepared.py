"""A live store that is made before anybody goes on from it.

a checkpoint ─▶ opened ─▶ a later one ─▶ its new deltas are applied ─▶ … ─▶ where a life begins ─▶ taken
                            └─ its bases are others ─▶ opened anew
"""

from functools import partial

from statefun_runtime.core.checkpoints.catching_up import lacking
from statefun_runtime.core.checkpoints.manifest import Part
from statefun_runtime.engine.beginning import Ports, open_store
from statefun_runtime.engine.checkpoints.recovery import Heads, apply_deltas
from statefun_runtime.ports.state_store import StateStore


class PreparedStore:
    """The live store of some key groups; it holds what the part says that it has reached last."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._part: Part | None = None
        self._live: tuple[StateStore, Heads] | None = None

    async def reach(self, part: Part | None) -> None:
        """Have it hold what a part says; raise UnavailableError if that cannot be read now, then nothing is open."""
        ports = self._ports
        held, self._part = self._part, None
        added = lacking(held, part) if part is not None and held is not None else None
        if self._live is None or added is None:
            await self.discard()
            self._live = await open_store(part, ports)
        else:
            try:
                await apply_deltas(added, ports.checkpoints, *self._live, ports.off_loop)
            except BaseException:
                await self.discard()
                raise
        self._part = part

    async def take(self, part: Part | None) -> tuple[StateStore, Heads]:
        """Return the store and the heads of its backlogs as a part says; they are the caller's from now on."""
        await self.reach(part)
        live, self._live = self._live, None
        assert live is not None
        return live

    async def discard(self) -> None:
        """Throw away what is open."""
        live, self._live = self._live, None
        if live is not None:
            await self._ports.off_loop(partial(live[0].discard))
