"""An import that is killed leaves nothing that a worker begins on, and the next one begins anew."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from statefun_runtime.cli import main
from tests.bench.moving.importing import make_savepoint
from tests.support.flink.savepoints import FOLDER

pytestmark = pytest.mark.integration

ROWS = 40_000
MODULE = FOLDER / "A-module.yaml"


def started(savepoint: Path, state: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "statefun_runtime.cli", "savepoint", "import", savepoint]
    where = ["--module", MODULE, "--state-dir", state, "--egress", "leave"]
    return subprocess.Popen([*map(str, (*command, *where))], stdout=subprocess.DEVNULL)


def test_an_import_that_is_killed_is_no_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    savepoint, state = make_savepoint(tmp_path, ROWS, is_compressed=False), tmp_path / "state"
    for pause_s in (0.0, 0.4):
        child = started(savepoint, state)
        try:
            while not (state / "importing").exists():
                assert child.poll() is None
                time.sleep(0.005)
            time.sleep(pause_s)
        finally:
            child.kill()
            child.wait()
        command = [sys.executable, "-m", "statefun_runtime.cli", "--module", MODULE]
        refused = subprocess.run(
            [*map(str, (*command, "--state-dir", state))],
            capture_output=True,
            timeout=30,
            check=False,
        )
        assert (refused.returncode, b"SF1124: " in refused.stderr) == (2, True)
    done = started(savepoint, state)
    assert done.wait(60) == 0
    assert main(["checkpoints", "show", "--state-dir", str(state)]) == 0
    assert f"com.acme.shop/cart  {ROWS // 4} ids with state\n" in capsys.readouterr().out
