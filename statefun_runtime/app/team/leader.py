"""Who leads the workers of an application: starts them, and starts them again.

begin ─▶ lives, one after the other, each a plan ─▶ stop
           ├─ a worker dies: all go back to the last complete checkpoint; sooner each time if they lived long
           └─ there is room for other workers: all come to rest, and go on where they were
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from statefun_runtime.config.settings import Settings
from statefun_runtime.core.checkpoints.manifest import FORMAT
from statefun_runtime.core.cluster.troubles import beginning_again
from statefun_runtime.engine.beginning import Beginning, Ports
from statefun_runtime.engine.cluster.preparation import Preparation
from statefun_runtime.engine.cluster.team_life import TeamLife
from statefun_runtime.engine.cluster.worker_process import WorkerProcess
from statefun_runtime.engine.phases import Phases
from statefun_runtime.engine.settings import EngineSettings
from statefun_runtime.engine.stop import Stop
from statefun_runtime.errors import (
    ConfigError,
    CorruptionError,
    FencedError,
    StatefunError,
)
from statefun_runtime.ports.team import Workplace

log = logging.getLogger("statefun.leader")

SILENCE_S = 1.5
_PAUSE_S, _PAUSE_MAX_S = 0.1, 10.0
_LONG_LIFE_S = 30.0

# Returns where a life begins that goes on behind one which has ended well, given a nonce; None if that has to be read.
GoOn = Callable[[str], tuple[Ports, Beginning] | None]
# Returns where a life begins that is planned for the workers there is room for.
Begin = Callable[[GoOn], Awaitable[tuple[Ports, Beginning]]]


def nowhere(_: str) -> None:
    """There is no life that has ended well."""


class Leader:
    """Leads the workers of an application; `tell` is told where the first life begins, `again` before all begin again."""

    def __init__(
        self,
        settings: EngineSettings,
        workplace: Workplace,
        stop: Stop,
        begin: Begin,
        *,
        tell: Callable[[Beginning], None],
        again: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._workplace = workplace
        self._stop = stop
        self._begin = begin
        self._tell = tell
        self._clear = again
        self._pause_s = _PAUSE_S
        self.life: TeamLife | None = None
        self._preparation: Preparation | None = None
        self._go_on: GoOn = nowhere
        self._has_told = False
        self.restarts = 0

    def workers(self) -> list[WorkerProcess]:
        """Return all workers; raise UnavailableError while they begin."""
        workers = list(self.life.workers.values()) if self.life is not None else []
        if not workers or not all(worker.is_ready for worker in workers):
            raise beginning_again()
        return workers

    async def run(self, announce: Callable[[], None]) -> None:
        """Lead until stopped; raise what cannot be mended by starting again."""
        loop = asyncio.get_running_loop()
        try:
            while not self._stop.is_asked:
                began_s = loop.time()
                try:
                    await self._live(announce)
                except (ConfigError, CorruptionError, FencedError):
                    raise
                except (StatefunError, OSError) as error:
                    await self._again(error, loop.time() - began_s)
                finally:
                    self.life = None
        finally:
            if self._preparation is not None:
                self._preparation.dismiss()
        if self._stop.failure is not None:
            raise self._stop.failure

    async def _again(self, error: Exception, lived_s: float) -> None:
        """Wait before all begin again: not at all after a long life, longer and longer after short ones."""
        self.restarts += 1
        what = error.line if isinstance(error, StatefunError) else str(error)
        self._pause_s = _PAUSE_S if lived_s > _LONG_LIFE_S else self._pause_s
        log.error(
            "%s; all workers go back to the last complete checkpoint, in %.1f s",
            what,
            self._pause_s,
        )
        self._clear()
        try:
            async with asyncio.timeout(self._pause_s):
                await self._stop.asked()
        except TimeoutError:
            self._pause_s = min(_PAUSE_MAX_S, self._pause_s * 2)

    async def _live(self, announce: Callable[[], None]) -> None:
        phases = Phases(asyncio.get_running_loop().time)
        go_on, self._go_on = self._go_on, nowhere
        ports, beginning = await self._begin(go_on)
        phases.ended("begin")
        log.debug("%s", phases)
        if not self._has_told:
            self._has_told = True
            self._tell(beginning)
        life = self.life = TeamLife(
            self._workplace,
            ports,
            beginning,
            self._settings,
            self._stop,
            silence_s=SILENCE_S,
            preparation=self._preparation,
        )
        self._preparation = None
        await life.run(announce)
        self._preparation, self._go_on = life.preparation, life.go_on
        last = life.checkpointer.last_complete
        what = "stopped; the next start goes" if self._stop.is_asked else "all rest, and go"
        log.info("%s on from checkpoint %d", what, last.epoch if last else 0)


def require_todays_form(settings: Settings, beginning: Beginning) -> None:
    """Raise ConfigError if the state was written in a form that several workers cannot share."""
    manifest = beginning.start.manifest
    if manifest is not None and manifest.version < FORMAT:
        raise ConfigError(
            f"{settings.state_dir} was written by an older version, in a form that several workers cannot share",
            code="SF1089",
            hint="start it once without --workers, and stop it: it is written anew",
        )
