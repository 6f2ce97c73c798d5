"""`statefun-worker state import`: the first checkpoint of an application, from lines as an export writes them.

Lines may come in any order: they are sorted on disk, so that what belongs to one address is together. Messages of an
address, and delayed messages of one due time, keep the order of their lines.
"""

import asyncio
import json
import marshal
import secrets
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from statefun_runtime.adapters.storage.rocksdb import RocksDbStore
from statefun_runtime.adapters.storage.state_folder import StateFolder
from statefun_runtime.app.start.places import founding_place
from statefun_runtime.config.settings import Settings
from statefun_runtime.core.checkpoints.manifest import Positions
from statefun_runtime.core.checkpoints.overlay import Row
from statefun_runtime.core.checkpoints.portable import FORMAT, Line, LineError, rows_of, sort_key
from statefun_runtime.engine.checkpoints.founding import Past, found
from statefun_runtime.engine.checkpoints.recovery import Names
from statefun_runtime.errors import ConfigError
from statefun_runtime.ports.state_store import StateStore

_SLICE_ROWS = 2000


@dataclass(slots=True)
class Brought:
    """What was in the lines: how many of each kind, and what belongs to no address."""

    counts: Counter[str] = field(default_factory=Counter)
    functions: dict[str, None] = field(default_factory=dict)
    positions: Positions = field(default_factory=dict)


def import_state(name: str, lines: Iterable[str | Line], settings: Settings) -> Brought:
    """Begin an application with the lines of a file; raise ConfigError with nothing done if one is wrong."""
    folder = StateFolder(settings.state_dir, for_import=True)
    is_complete = False
    try:
        folder.begin_import()
        brought = _import(name, lines, settings, folder)
        is_complete = True
        return brought
    finally:
        folder.end_import(is_complete=is_complete)
        folder.close()


def _import(
    name: str, lines: Iterable[str | Line], settings: Settings, folder: StateFolder
) -> Brought:
    scratch = folder.fresh_live_folder()
    scratch.mkdir(parents=True)
    store = RocksDbStore(scratch, for_sorting=True)
    try:
        brought = Brought()
        _sort(name, lines, store, brought, settings.key_group_count)
        asyncio.run(_write(_rows(name, store, settings), brought, settings, folder))
        return brought
    finally:
        store.discard()


def _sort(
    name: str,
    lines: Iterable[str | Line],
    store: StateStore,
    brought: Brought,
    key_group_count: int,
) -> None:
    """Bring the lines of a file into a store, by what they belong to."""
    some: list[Row] = []
    for number, given in enumerate(lines, 1):
        try:
            line = _parse(given) if isinstance(given, str) else given
            if line is None:
                continue
            if number == 1 or line["kind"] in ("application", "function", "position"):
                _take(line, brought, is_first=number == 1)
                continue
            key = sort_key(line, key_group_count) + number.to_bytes(8, "big")
        except (ValueError, KeyError, TypeError) as error:
            raise wrong_line(name, number, error) from error
        brought.counts[line["kind"]] += 1
        if "type" in line:
            brought.functions[line["type"]] = None
        # The store is of this process alone; this is read again in a fifth of the time that JSON takes.
        some.append((key, marshal.dumps(line)))
        if len(some) >= _SLICE_ROWS:
            store.write(some)
            some = []
    store.write(some)


def _parse(text: str) -> Line | None:
    """Return the line that a text is; None if it is empty."""
    if text.isspace():
        return None
    line = json.loads(text)
    if not isinstance(line, dict):
        raise LineError("it is no mapping")
    return line


def _take(line: Line, brought: Brought, *, is_first: bool) -> None:
    kind = line["kind"]
    if is_first and (kind != "application" or line["format"] != FORMAT):
        raise LineError(f'the first line has to be {{"kind": "application", "format": {FORMAT}}}')
    if kind == "function":
        brought.functions[line["type"]] = None
    elif kind == "position":
        brought.positions.setdefault(line["ingress"], {})[line["split"]] = line["position"]
        brought.counts[kind] += 1


def wrong_line(name: str, number: int, error: Exception) -> ConfigError:
    """Return the error for a line that cannot be taken."""
    why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return ConfigError(
        f"line {number} of {name} is not one of an export: {why}",
        code="SF1128",
        hint="docs/reference/state-files.md has the lines that there are; nothing was imported",
    )


def _rows(name: str, store: StateStore, settings: Settings) -> Iterator[Row]:
    last = 0

    def lines() -> Iterator[tuple[bytes, Line]]:
        nonlocal last
        for key, content in store.scan(b""):
            last = int.from_bytes(key[-8:], "big")
            yield key[:-8], marshal.loads(content)

    try:
        yield from rows_of(lines(), settings.key_group_count)
    except LineError as error:
        raise wrong_line(name, last, error) from error


async def _write(
    rows: Iterable[Row], brought: Brought, settings: Settings, folder: StateFolder
) -> None:
    names = Names(str(uuid.uuid4()), secrets.token_hex(8), str(uuid.uuid4()), settings.application)
    await found(
        founding_place(folder, settings),
        names,
        Past(rows, brought.positions, tuple(sorted(brought.functions))),
        key_group_count=settings.key_group_count,
        partition_count=settings.partitions,
        now_ms=time.time_ns() // 1_000_000,
    )
