"""`--workers N`: the process that starts N workers, leads them, and starts them again.

nursery forked ─▶ lives, one after the other, each a plan ─▶ stop
                    └─ a worker dies: all go back to the last complete checkpoint; sooner each time if they lived long
"""

import asyncio
import logging
from collections.abc import Callable

from statefun_runtime.adapters.admin.admin_socket import AdminSocket, admin_socket
from statefun_runtime.adapters.storage.state_folder import StateFolder
from statefun_runtime.adapters.team.workplace import LocalWorkplace
from statefun_runtime.app.banner import announce_team
from statefun_runtime.app.build import engine_settings
from statefun_runtime.app.start.beginning import begin_application, tell_where_it_begins
from statefun_runtime.app.team.asking import TeamMetricsPort, team_commands
from statefun_runtime.config.settings import Settings
from statefun_runtime.core.checkpoints.manifest import FORMAT
from statefun_runtime.engine.beginning import Beginning
from statefun_runtime.engine.cluster.planning import planned
from statefun_runtime.engine.cluster.team_life import TeamLife
from statefun_runtime.engine.stop import Stop
from statefun_runtime.errors import (
    ConfigError,
    CorruptionError,
    FencedError,
    StatefunError,
)
from statefun_runtime.ports.module import ModuleSpec

log = logging.getLogger("statefun.leader")

_SILENCE_S = 1.5
_PAUSE_S, _PAUSE_MAX_S = 0.1, 10.0
_LONG_LIFE_S = 30.0


class Leader:
    """Leads the workers of an application in one state folder."""

    def __init__(
        self,
        settings: Settings,
        module: ModuleSpec,
        folder: StateFolder,
        workplace: LocalWorkplace,
        stop: Stop,
    ) -> None:
        self._settings = settings
        self._module = module
        self._folder = folder
        self._workplace = workplace
        self._stop = stop
        self._pause_s = _PAUSE_S
        self.life: TeamLife | None = None
        self._is_announced = False
        self.restarts = 0

    async def run(self, tasks: asyncio.TaskGroup) -> None:
        """Lead until stopped; raise what cannot be mended by starting again."""
        savepoints = str(self._settings.savepoints_dir or self._settings.state_dir / "savepoints")
        admin = AdminSocket(admin_socket(self._settings.state_dir), team_commands(self, savepoints))
        metrics = TeamMetricsPort(self, self._settings, tasks)
        await admin.start()
        await metrics.start()
        beside = [tasks.create_task(admin.run())]
        try:
            await self._lead(lambda: self._announce(metrics))
        finally:
            self._workplace.close()
            for task in beside:
                task.cancel()
            await admin.close()
            await metrics.close()
        if self._stop.failure is not None:
            raise self._stop.failure

    def _announce(self, metrics: TeamMetricsPort) -> None:
        if not self._is_announced:
            self._is_announced = True
            announce_team(self._settings, self._module, metrics.port)

    async def _lead(self, announce: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        while not self._stop.is_asked:
            began_s = loop.time()
            try:
                await self._live(announce)
                return
            except (ConfigError, CorruptionError, FencedError):
                raise
            except (StatefunError, OSError) as error:
                await self._again(error, loop.time() - began_s)

    async def _again(self, error: Exception, lived_s: float) -> None:
        """Wait before all begin again: not at all after a long life, longer and longer after short ones."""
        self.life = None
        self.restarts += 1
        what = error.line if isinstance(error, StatefunError) else str(error)
        self._pause_s = _PAUSE_S if lived_s > _LONG_LIFE_S else self._pause_s
        log.error(
            "%s; all workers go back to the last complete checkpoint, in %.1f s",
            what,
            self._pause_s,
        )
        self._folder.clear_live()
        try:
            async with asyncio.timeout(self._pause_s):
                await self._stop.asked()
        except TimeoutError:
            self._pause_s = min(_PAUSE_MAX_S, self._pause_s * 2)

    async def _live(self, announce: Callable[[], None]) -> None:
        ports, beginning = await begin_application(self._settings, self._module, self._folder)
        self._require_todays_form(beginning)
        beginning = planned(beginning, self._settings.workers)
        if not self._is_announced:
            tell_where_it_begins(self._settings, beginning.start, beginning.history)
        life = self.life = TeamLife(
            self._workplace,
            ports,
            beginning,
            engine_settings(self._settings),
            self._stop,
            silence_s=_SILENCE_S,
        )
        await life.run(announce)
        last = life.checkpointer.last_complete
        log.info("stopped; the next start goes on from checkpoint %d", last.epoch if last else 0)

    def _require_todays_form(self, beginning: Beginning) -> None:
        manifest = beginning.start.manifest
        if manifest is not None and manifest.version < FORMAT:
            raise ConfigError(
                f"{self._settings.state_dir} was written by an older version, in a form that several workers cannot share",
                code="SF1089",
                hint="start it once without --workers, and stop it: it is written anew",
            )
