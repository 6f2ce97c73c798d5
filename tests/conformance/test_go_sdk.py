"""The SDK for Go passes its own tests: golden cases, bundles, what it refuses, and its codec beside protobuf's own."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import skip_or_fail
from tests.support.provisions import ROOT, Unavailable, command_path, run_or_unavailable
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


def test_its_own_tests_pass_and_nothing_races(
    go_program: object, pytestconfig: pytest.Config
) -> None:
    try:
        command_path("cc")
    except Unavailable as error:
        skip_or_fail(pytestconfig, "Go (race detector)", error)
    output = _run("test", "-race", "-count=1", f"-timeout={TEST_S}s", "./...")

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


# Both are in one program: what registers the names of the protocol twice ends before its main.
BOTH = """\
package main

import (
	"fmt"

	stock "github.com/apache/flink-statefun/statefun-sdk-go/v3/pkg/statefun"
	first "statefun.internal/sdk-go/pkg/flink/statefun"
	ours "statefun.internal/sdk-go/pkg/statefun"
)

func main() {
	fmt.Println(stock.TypeNameFrom("a/b") != nil, ours.TypeNameFrom("a/b") != nil, first.NewFunctionRegistry() != nil)
}
"""


def test_it_can_be_linked_beside_the_stock_sdk(
    go_program: object, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    (tmp_path / "main.go").write_text(BOTH)
    go_sdk.go("mod", "init", "both", cwd=tmp_path)
    ours = ["-require", f"{go_sdk.MODULE}@v0.0.0", "-replace", f"{go_sdk.MODULE}={go_sdk.SDK}"]
    stock = ["-require", "github.com/apache/flink-statefun/statefun-sdk-go/v3@v3.3.0"]
    go_sdk.go("mod", "edit", *ours, *stock, cwd=tmp_path)
    try:
        go_sdk.go("mod", "download", cwd=tmp_path)
    except Unavailable as error:
        skip_or_fail(pytestconfig, "stock_sdk (Go)", error)

    assert go_sdk.go("run", ".", cwd=tmp_path) == "true true true\n"
