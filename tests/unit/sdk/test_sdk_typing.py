"""`mypy --strict` on a user's program."""

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).with_name("typed_program.py")


def test_a_users_program_is_type_checked_by_mypy_strict(tmp_path: Path):
    check = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--config-file="),
            *("--cache-dir", str(tmp_path), str(PROGRAM)),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (check.stdout, check.stderr) == ("Success: no issues found in 1 source file\n", "")
