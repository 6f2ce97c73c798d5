"""The log of the HTTP ingress after a power cut."""

from pathlib import Path

import pytest

from statefun_runtime.connectors.playground.ingress_log import IngressLog


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
