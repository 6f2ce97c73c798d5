"""The messages in StateFun's feedback loop, from one subtask to another: raw keyed state, a log per key group.

(0  710818519)  count  (length  envelope)…        the header is missing in files of older versions
"""

from collections.abc import Iterator

from statefun_runtime.connectors.flink.files.damage import Damages
from statefun_runtime.connectors.flink.files.hashes import flink_key_group
from statefun_runtime.connectors.flink.files.metadata import FullState
from statefun_runtime.connectors.flink.files.source import Source
from statefun_runtime.connectors.flink.files.state_files import StateFile, source_at
from statefun_runtime.connectors.flink.rows.envelopes import Envelope, read_envelope

_HEADER = (0).to_bytes(4, "big") + (710818519).to_bytes(4, "big")


def loop_rows(
    file: StateFile, state: FullState, max_parallelism: int, damages: Damages
) -> Iterator[Envelope]:
    """Yield the messages of a log in their order; a key group that cannot be read to its end is damage."""
    begins = sorted({offset for offset in state.offsets if offset >= 0})
    end_of = dict(zip(begins, [*begins[1:], file.size_bytes], strict=True))
    for index, offset in enumerate(state.offsets):
        group = state.first_group + index
        if offset < 0:
            continue
        with damages.at(file.name, offset, f"messages of key group {group} that were under way"):
            for envelope in _log(source_at(file, offset, end_of[offset])):
                if flink_key_group(envelope.target.id, max_parallelism) != group:
                    raise ValueError(f"a message to {envelope.target} lies in key group {group}")
                yield envelope


def _log(source: Source) -> Iterator[Envelope]:
    first = source.take(4)
    if first == _HEADER[:4] and source.left:
        if source.take(4) != _HEADER[4:]:
            raise ValueError("the log of a key group does not begin like one")
        first = source.take(4)
    count = int.from_bytes(first, "big", signed=True)
    if count < 0:
        raise ValueError(f"{count} messages cannot follow")
    for _ in range(count):
        yield read_envelope(source.blob())
    if source.left:
        raise ValueError(f"{source.left} bytes are left over behind the messages of a key group")
