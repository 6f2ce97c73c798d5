"""`statefun-worker savepoint import`: from a savepoint of Flink to a state folder that a worker starts from.

    read, by address ─▶ decide ─▶ refuse, or write one checkpoint ─▶ end Flink's transactions ─▶ report

All of it or nothing: what cannot be carried is told before anything is written, and what is written counts from one
step on. Transactions are ended after that, and before a worker can read anything; that can be repeated.
"""

import asyncio
import secrets
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from statefun_runtime.adapters.storage.rocksdb import RocksDbStore
from statefun_runtime.adapters.storage.state_folder import StateFolder
from statefun_runtime.app.moving.takeover import Takeovers, refuse_lost, undecided
from statefun_runtime.app.start.places import founding_place
from statefun_runtime.config.settings import Settings
from statefun_runtime.connectors.flink.importing.carrying import Wanted, carried_rows
from statefun_runtime.connectors.flink.importing.deciding import (
    Ends,
    check_names,
    damaged,
    decide_ends,
    decide_left_out,
)
from statefun_runtime.connectors.flink.importing.names import Resolved, resolve_types
from statefun_runtime.connectors.flink.importing.report import Report
from statefun_runtime.connectors.flink.importing.sorting import Sorting
from statefun_runtime.connectors.flink.rows.savepoint import (
    Savepoint,
    egress_uids,
    ingress_uids,
)
from statefun_runtime.connectors.kafka.ingress.position import split_name
from statefun_runtime.core.checkpoints.manifest import Positions
from statefun_runtime.core.checkpoints.overlay import Row
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.engine.checkpoints.founding import Past, found
from statefun_runtime.engine.checkpoints.recovery import Names
from statefun_runtime.ports.module import ModuleSpec
from statefun_runtime.ports.state_store import StateStore


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What is to be imported, and how; `told` hears now and then how many rows were read.

    `egress` says what becomes of output that Kafka holds: "commit" or "leave". With `egress_only` nothing else is done.
    """

    path: Path
    functions: tuple[TypeName, ...] = ()
    without: tuple[str, ...] = ()
    accepts_damage: bool = False
    is_dry_run: bool = False
    egress: str | None = None
    egress_only: bool = False
    told: Callable[[int], None] = lambda _: None

    @property
    def without_types(self) -> tuple[TypeName, ...]:
        """The function types among what is left out."""
        return tuple(TypeName.parse(name) for name in self.without if ":" not in name)


def import_savepoint(request: ImportRequest, module: ModuleSpec, settings: Settings) -> Report:
    """Import a savepoint, or say what an import would do; raise ConfigError or CorruptionError with nothing done."""
    began_s = time.monotonic()
    ends = [one.id for one in module.ingresses] + [one.id for one in module.egresses]
    savepoint = Savepoint(request.path, ends)
    if request.is_dry_run or request.egress_only:
        report = _try(request, savepoint, module, settings)
    else:
        report = _import(request, savepoint, module, settings)
    report.seconds = time.monotonic() - began_s
    return report


def _try(
    request: ImportRequest, savepoint: Savepoint, module: ModuleSpec, settings: Settings
) -> Report:
    scratch = Path(mkdtemp(prefix="statefun-import-"))
    try:
        work = Work(request, savepoint, module, settings, RocksDbStore(scratch, for_sorting=True))
        with work:
            for _ in work.rows():
                pass
            if request.egress == "commit":
                asyncio.run(work.take_over() if request.egress_only else work.ask())
            if request.egress_only:
                refuse_lost(work.report.transactions, is_imported=True)
        return work.report
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _import(
    request: ImportRequest, savepoint: Savepoint, module: ModuleSpec, settings: Settings
) -> Report:
    folder = StateFolder(settings.state_dir, for_import=True)
    is_complete = False
    try:
        folder.begin_import()
        scratch = folder.fresh_live_folder()
        scratch.mkdir(parents=True)
        work = Work(request, savepoint, module, settings, RocksDbStore(scratch, for_sorting=True))
        with work:
            work.refuse_undecided()
            if request.egress == "commit":
                asyncio.run(work.ask())
                refuse_lost(work.report.transactions)
            asyncio.run(work.write(folder))
        is_complete = True
    finally:
        folder.end_import(is_complete=is_complete)
        folder.close()
    if request.egress == "commit":
        asyncio.run(work.take_over())
        refuse_lost(work.report.transactions, is_imported=True)
    return work.report


class Work:
    """One import: rows are brought together in a store that is for nothing else, and gone afterwards."""

    def __init__(
        self,
        request: ImportRequest,
        savepoint: Savepoint,
        module: ModuleSpec,
        settings: Settings,
        store: StateStore,
    ) -> None:
        self._request, self._savepoint = request, savepoint
        self._module, self._settings = module, settings
        metadata = savepoint.metadata
        self.report = Report(
            str(savepoint.folder), metadata.checkpoint_id, metadata.version, request.is_dry_run
        )
        self._store = store
        self._sorting = Sorting(
            self._store,
            savepoint.damages,
            request.told,
            key_group_count=settings.key_group_count,
        )

    def __enter__(self) -> None:
        try:
            self._read()
        except BaseException:
            self._store.discard()
            raise

    def __exit__(self, *_: object) -> None:
        self._store.discard()

    def _read(self) -> None:
        sorting, savepoint = self._sorting, self._savepoint
        sorting.take_all(savepoint.function_rows())
        sorting.take_loop(savepoint.loop_rows())
        sorting.finish()
        ends = self._ends()
        seen, request = sorting.seen, self._request
        self._refuse_damage()
        self._resolved = self._resolve()
        self.report.left_out = decide_left_out(seen, ends, request.without, self._known_types())
        self.report.rows_read = seen.rows
        self.report.positions, self.report.unresolved = ends.positions, ends.unresolved
        self.report.transactions = ends.transactions
        self._takeovers = Takeovers(self._module, ends.transactions, ends.pools)
        self._remark()

    def _ends(self) -> Ends:
        rows = [
            (one, list(self._savepoint.operator_rows(one))) for one in self._savepoint.operators
        ]
        ingresses = {
            uid: str(spec.id) for spec in self._module.ingresses for uid in ingress_uids(spec.id)
        }
        egresses = {
            uid: str(spec.id) for spec in self._module.egresses for uid in egress_uids(spec.id)
        }
        return decide_ends(rows, ingresses, egresses, split_name)

    def _resolve(self) -> Resolved:
        seen = self._sorting.seen
        resolved = resolve_types(
            seen.names,
            self._request.functions,
            seen.types,
            lambda one: self._module.endpoint_for(one) is not None,
        )
        check_names(resolved, self._request.without)
        return resolved

    def _known_types(self) -> tuple[TypeName, ...]:
        return tuple(dict.fromkeys((*self._resolved.types.values(), *self._sorting.seen.types)))

    def _remark(self) -> None:
        for function_type in sorted(self._known_types()):
            if self._module.endpoint_for(function_type) is None:
                self.report.remarks.append(
                    f"no endpoint of the module serves {function_type}: what there is of it is kept for one that does"
                )
        if self._takeovers.is_needed and self._request.egress != "commit":
            self.report.remarks.append(
                "the prepared transactions hold records that are not committed: unless they are, as --egress commit "
                "does, before transactionTimeout has passed, these records are lost"
            )

    def refuse_undecided(self) -> None:
        """Raise ConfigError if nobody has said what becomes of output that Kafka holds."""
        if self._takeovers.is_needed and self._request.egress is None:
            raise undecided()

    async def ask(self) -> None:
        """Write into the report what the brokers say of the transactions."""
        self.report.transactions = await self._takeovers.ask()

    async def take_over(self) -> None:
        """End the transactions, and write into the report what each was."""
        self.report.transactions = await self._takeovers.end()

    def _refuse_damage(self) -> None:
        damages = self._savepoint.damages
        self.report.damage, self.report.damage_count = damages.found, damages.count
        if damages.count and not self._request.accepts_damage:
            raise damaged(damages.found, damages.count)

    def rows(self) -> Iterator[Row]:
        """Yield the rows of the checkpoint; raise CorruptionError behind the last if they do not fit together."""
        wanted = Wanted(
            self._resolved.types,
            frozenset(self._request.without_types),
            self._settings.key_group_count,
        )
        yield from carried_rows(self._sorting, wanted, self.report, self._savepoint.damages)
        self._refuse_damage()

    async def write(self, folder: StateFolder) -> None:
        """Write the checkpoint."""
        settings = self._settings
        names = Names(
            str(uuid.uuid4()), secrets.token_hex(8), str(uuid.uuid4()), settings.application
        )
        functions = tuple(sorted(str(one) for one in self._known_types()))
        positions: Positions = {name: {**at} for name, at in self.report.positions.items()}
        await found(
            founding_place(folder, settings),
            names,
            Past(self.rows(), positions, functions),
            key_group_count=settings.key_group_count,
            partition_count=settings.partitions,
            now_ms=time.time_ns() // 1_000_000,
        )
