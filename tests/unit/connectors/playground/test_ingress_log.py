"""The log of the HTTP ingress after a power cut."""

import asyncio
from pathlib import Path

import pytest

from statefun_runtime.connectors.playground.ingress_log import IngressLog
from statefun_runtime.errors import CorruptionError
from tests.fakes.ingress import RecordingIngressContext
from tests.unit.connectors.playground.test_playground import MODULE, new_ingress


@pytest.mark.parametrize(
    "left_behind", [bytes(8), bytes(4096), b"\0\0\0\5", b"\0\0\0\2\0\0\0\0ab"], ids=repr
)
def test_what_a_cut_write_left_behind_is_no_record(tmp_path: Path, left_behind: bytes):
    IngressLog(tmp_path).append([b"one", b"two"])
    with next(tmp_path.glob("*.log")).open("ab") as file:
        file.write(left_behind)

    log = IngressLog(tmp_path)
    log.append([b"three"])

    assert list(log.read(0)) == [b"one", b"two", b"three"]


def test_a_checkpoint_that_the_log_does_not_reach_is_refused_before_anything_listens(
    tmp_path: Path,
):
    async def main() -> None:
        ingress = new_ingress(RecordingIngressContext(MODULE), tmp_path, position=3)
        with pytest.raises(CorruptionError) as refusal:
            await ingress.listen()
        assert str(refusal.value) == (
            f"SF5007: {tmp_path} holds records 0 to 2, the checkpoint wants 3\n"
            "hint: `statefun-worker checkpoints list` shows which checkpoints can be started from"
        )

    IngressLog(tmp_path).append([b"one", b"two"])
    asyncio.run(main())
