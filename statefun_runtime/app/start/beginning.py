"""Where the life of an application begins: what flags say, what the folder or bucket holds, and what is told of it."""

import logging
import secrets
import time
import uuid
from collections import Counter
from dataclasses import replace
from datetime import datetime

from statefun_runtime.adapters.storage.state_folder import StateFolder
from statefun_runtime.app.build import engine_settings, machine_ports
from statefun_runtime.app.shadow import named, require_own_folder
from statefun_runtime.app.start.places import (
    keep_place,
    require_reachable,
    require_same_place,
    with_place,
)
from statefun_runtime.app.start.requirements import name_of, require_state
from statefun_runtime.config.settings import Settings
from statefun_runtime.core.checkpoints.commits import Completed, History
from statefun_runtime.core.checkpoints.manifest import ObjectId
from statefun_runtime.engine.beginning import Beginning, Ports, begin
from statefun_runtime.engine.checkpoints.recovery import Names, is_whole
from statefun_runtime.errors import ConfigError
from statefun_runtime.ports.checkpoint_store import CheckpointStore
from statefun_runtime.ports.commit_log import CommitLog
from statefun_runtime.ports.module import ModuleSpec

log = logging.getLogger("statefun.worker")

_FAR_AHEAD_S = 3600.0


async def begin_application(
    settings: Settings, module: ModuleSpec, folder: StateFolder, log: CommitLog | None = None
) -> tuple[Ports, Beginning]:
    """Return what the application keeps its state in, and where it begins; nothing is written but where checkpoints lie.

    A `log` that others read, too, takes the place of the folder's.
    """
    ports = machine_ports(folder)
    if log is not None:
        ports = replace(ports, commit_log=log)
    ports = with_place(ports, settings, folder.folder / "live" / "fetched")
    await require_reachable(ports)
    names = Names(str(uuid.uuid4()), secrets.token_hex(8), str(uuid.uuid4()), named(settings))
    history = History(tuple(await ports.commit_log.read()))
    require_own_folder(settings, history)
    if log is None:
        require_same_place(settings, history)
    origin = await _origin(settings, history, ports.checkpoints)
    beginning = await begin(ports, history, names, engine_settings(settings), origin=origin)
    require_state(settings, beginning.start)
    if log is None:
        keep_place(settings.state_dir, settings.checkpoints)
    beginning = _with_homes(beginning, settings, module)
    return ports, beginning


async def _origin(
    settings: Settings, history: History, objects: CheckpointStore
) -> ObjectId | None:
    """Return the manifest that a flag names: of a savepoint, or of an older checkpoint."""
    if settings.from_savepoint is not None:
        return await objects.take_in_savepoint(settings.from_savepoint)
    if settings.from_checkpoint is None:
        return None
    there = await objects.ids()
    for entry in history.entries:
        if isinstance(entry, Completed) and entry.epoch == settings.from_checkpoint:
            if await is_whole(entry.manifest, objects, there):
                return entry.manifest
            break
    raise ConfigError(
        f"no complete checkpoint {settings.from_checkpoint} is kept in {settings.state_dir}",
        code="SF1049",
        hint="`statefun-worker checkpoints list` shows which there are",
    )


def _with_homes(beginning: Beginning, settings: Settings, module: ModuleSpec) -> Beginning:
    """Return it with those outboxes that may not have left, are not dropped, and have a home."""
    outboxes = beginning.outboxes
    if outboxes and not beginning.start.is_ours:
        # What the original has yet to send is for its own topics.
        decided = "drop" if settings.shadow else settings.savepoint_outbox
        if decided is None:
            raise ConfigError(
                f"the savepoint holds {len(outboxes)} outboxes which its own application may have published",
                code="SF1050",
                hint="say --savepoint-outbox drop, or --savepoint-outbox publish to send them once more",
            )
        if decided == "drop":
            return beginning.without_outboxes()
    known = {str(spec.id) for spec in module.egresses}
    homeless = Counter[str]()
    for outbox in outboxes:
        if outbox.egress not in known:
            homeless[outbox.egress] += outbox.count
    for egress, count in homeless.items():
        if egress not in settings.abandoned_egresses:
            raise ConfigError(
                f"egress '{egress}' is not in the module any more, but has {count} records that may not have left",
                code="SF1047",
                hint=f"put it back until they have left, or drop them with --abandon-egress {egress}",
            )
        log.warning("%d records of egress '%s', which is gone, are dropped as told", count, egress)
    at_home = tuple(outbox for outbox in outboxes if outbox.egress in known)
    return replace(beginning, outboxes=at_home)


def tell_where_it_begins(settings: Settings, beginning: Beginning) -> None:
    """Say whether an application is new, or what it goes on from."""
    start, history = beginning.start, beginning.history
    manifest, started = start.manifest, start.started
    if manifest is None:
        log.info(
            "begins as new application %s, incarnation %d: %s holds no complete checkpoint",
            name_of(started),
            started.incarnation,
            settings.state_dir,
        )
        return
    when = datetime.fromtimestamp(manifest.created_ms / 1000).isoformat(" ", "seconds")
    log.info(
        "application %s continues from checkpoint %d of %s, incarnation %d",
        name_of(started),
        manifest.epoch,
        when,
        started.incarnation,
    )
    ahead_s = time.time() - manifest.created_ms / 1000
    if ahead_s > _FAR_AHEAD_S:
        log.info(
            "%.1f hours have passed since that checkpoint: what became due or expired meanwhile takes effect now",
            ahead_s / 3600,
        )
    if history.last_epoch > manifest.epoch and manifest.lineage != started.lineage:
        log.warning(
            "a new lineage begins: what was published after checkpoint %d may be published again",
            manifest.epoch,
        )
