"""`statefun-worker state export`: all that a checkpoint holds, as lines that any program can read."""

import heapq
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from statefun_runtime.adapters.off_loop import in_a_thread
from statefun_runtime.adapters.storage.rocksdb import RocksDbStore
from statefun_runtime.app.inspect import StateFolderView
from statefun_runtime.connectors.playground.ingress_log import LOG_SPLIT
from statefun_runtime.core.checkpoints.manifest import Manifest
from statefun_runtime.core.checkpoints.portable import (
    Line,
    delayed_line,
    head_line,
    message_lines,
    once_line,
    parked_line,
    result_line,
    state_lines,
)
from statefun_runtime.core.model.address import KeyGroup
from statefun_runtime.core.model.keys import (
    CHUNK,
    HTTP_EGRESS,
    ONCE,
    PARKED,
    STATE,
    TIMER,
    group_prefix,
    parse_address_key,
    parse_chunk_key,
)
from statefun_runtime.engine.checkpoints.recovery import Heads, open_live
from statefun_runtime.errors import ConfigError
from statefun_runtime.ports.state_store import StateStore

_OPEN_FILES_MAX = 32


async def export_state(
    view: StateFolderView, epoch: int | None, write: Callable[[Line], None]
) -> None:
    """Write the lines of a checkpoint, the last one by default; raise ConfigError where not all of it can be lines."""
    manifest = await view.one(epoch)
    _refuse_outboxes(manifest)
    with TemporaryDirectory(prefix="statefun-export-") as folder:
        numbers = itertools.count()

        def scratch() -> Path:
            return Path(folder) / str(next(numbers))

        # Key groups lie beside each other: few files are read at a time.
        open_store = partial(RocksDbStore, open_files_max=_OPEN_FILES_MAX)
        store, heads = await open_live(
            manifest.whole(), view.objects, scratch, open_store, in_a_thread
        )
        try:
            for line in _lines(manifest, store, heads):
                write(line)
        finally:
            store.close()


def _refuse_outboxes(manifest: Manifest) -> None:
    pending = sum(outbox.count for outbox in manifest.outboxes)
    if pending or manifest.pending_parent is not None:
        raise ConfigError(
            f"checkpoint {manifest.epoch} has egress records that may not have left, and an export has no place for them",
            code="SF1127",
            hint="start the worker, have its egresses reachable, and stop it: what waits leaves before the last "
            "checkpoint; then export",
        )


def _lines(manifest: Manifest, store: StateStore, heads: Heads) -> Iterator[Line]:
    yield head_line()
    for name in sorted(manifest.functions):
        yield {"kind": "function", "type": name}
    for ingress, splits in sorted(manifest.positions.items()):
        for split, position in sorted(splits.items()):
            # How far the log in the state folder was read means nothing without that log.
            if split != LOG_SPLIT:
                yield {"kind": "position", "ingress": ingress, "split": split, "position": position}
    for group in range(manifest.key_group_count):
        yield from _group_lines(group_prefix(KeyGroup(group)), store, heads)


def _group_lines(prefix: bytes, store: StateStore, heads: Heads) -> Iterator[Line]:
    yield from _backlog_lines(prefix, store, heads)
    for kind, line in ((HTTP_EGRESS, result_line), (ONCE, once_line), (PARKED, parked_line)):
        for key, row in store.scan(prefix + kind):
            yield line(key, row)
    for key, row in store.scan(prefix + STATE):
        yield from state_lines(key, row)
    for key, row in store.scan(prefix + TIMER):
        yield delayed_line(key, row)


def _backlog_lines(prefix: bytes, store: StateStore, heads: Heads) -> Iterator[Line]:
    """Yield what waits for each address: the head comes before the chunks."""
    first = sorted((key[3:], row) for key, row in heads.items() if key[:2] == prefix)
    # A chunk's key ends with a zero byte and its number.
    chunks = ((key[3:-9], key, row) for key, row in store.scan(prefix + CHUNK))
    pieces = heapq.merge(
        ((address, b"", row) for address, row in first), chunks, key=lambda piece: piece[:2]
    )
    for address, key, row in pieces:
        owner = parse_chunk_key(key)[0] if key else parse_address_key(prefix + STATE + address)
        yield from message_lines(owner, row)
