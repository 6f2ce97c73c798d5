import sys
from pathlib import Path

import pytest

from tests.support.processes import Process
from tests.support.sockets import free_port, http_get

STUBBORN = "import signal, time; signal.signal(15, lambda *_: None); print('up'); time.sleep(60)"


def start(code: str, tmp_path: Path) -> Process:
    return Process([sys.executable, "-c", code], log=tmp_path / "log")


@pytest.mark.integration
def test_a_wait_ends_at_once_when_the_process_exits(tmp_path: Path):
    process = start("print('last words'); raise SystemExit(3)", tmp_path)

    with pytest.raises(AssertionError, match=r"(?s)exit status 3.*last words"):
        process.wait_for_line("^ready", timeout_s=20)


@pytest.mark.integration
def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path):
    process = start(STUBBORN, tmp_path)
    process.wait_for_line("^up")

    process.stop(timeout_s=0.2)

    assert process.exit_status == -9


@pytest.mark.integration
def test_a_clean_stop_demands_exit_status_0(tmp_path: Path):
    process = start("import time; print('up'); time.sleep(60)", tmp_path)
    process.wait_for_line("^up")

    with pytest.raises(AssertionError, match=r"did not stop cleanly \(exit status -15\)"):
        process.stop_cleanly()


def test_nothing_answers_on_a_free_port():
    assert http_get(f"http://127.0.0.1:{free_port()}/readyz") is None
