"""The SDK for Go passes its own tests: golden cases, bundles, what it refuses, and its codec beside protobuf's own."""

import re
import subprocess
from pathlib import Path

from tests.support.provisions import ROOT, command_path, run_or_unavailable
from tests.support.sdks import go_sdk

TEST_S = 600

# Its other packages are tested from outside.
TESTED = {"internal/serving", "internal/wire", "tests"}


def _run(*words: str) -> str:
    done = subprocess.run(
        go_sdk.go_command(*words),
        cwd=go_sdk.SDK,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TEST_S,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    return done.stdout


def test_nothing_is_wrong_by_go_vet_and_gofmt(go_program: object) -> None:
    _run("vet", "./...")
    assert (
        run_or_unavailable([command_path("gofmt"), "-l", "."], cwd=go_sdk.SDK, timeout_s=60) == ""
    )


def test_its_own_tests_pass(go_program: object) -> None:
    output = _run("test", "-count=1", f"-timeout={TEST_S}s", "./...")

    passed = set(re.findall(rf"^ok\s+{re.escape(go_sdk.MODULE)}/(\S+)", output, re.M))
    assert passed == TESTED, output


def test_protobuf_is_its_only_dependency(go_program: object) -> None:
    modules = _run("list", "-m", "-f", "{{if not .Indirect}}{{.Path}}{{end}}", "all").split()

    assert modules == [go_sdk.MODULE, "google.golang.org/protobuf"]


def test_its_licence_is_the_projects() -> None:
    for name in ("LICENSE", "NOTICE"):
        assert (go_sdk.SDK / name).read_text() == (ROOT / name).read_text()


def test_every_go_file_is_as_short_as_the_house_wants() -> None:
    sources = [path for path in go_sdk.SDK.rglob("*.go") if not path.name.endswith("_test.go")]

    assert len(sources) > 15
    for path in sources:
        assert len(path.read_text().splitlines()) <= 400, path
    rooms: dict[Path, int] = {}
    for path in sources:
        rooms[path.parent] = rooms.get(path.parent, 0) + 1
    assert max(rooms.values()) <= 15
