"""The rules of the house for the JavaScript SDK, which need no Node."""

import json
import re

from tests.support.provisions import ROOT
from tests.support.sdks.javascript_sdk import SDK

FILE_LINES_MAX = 300
FOLDER_FILES_MAX = 15
SOURCES = sorted((SDK / "lib").rglob("*.js"))
PACKAGE = json.loads((SDK / "package.json").read_text())


def test_files_and_folders_are_short():
    assert len(SOURCES) > 15
    for path in SOURCES:
        assert len(path.read_text().splitlines()) <= FILE_LINES_MAX, path
    for folder in {path.parent for path in SOURCES}:
        assert len([each for each in folder.iterdir() if each.is_file()]) <= FOLDER_FILES_MAX, (
            folder
        )


def test_nothing_is_installed_with_it():
    assert "dependencies" not in PACKAGE
    assert "peerDependencies" not in PACKAGE
    for path in SOURCES:
        for name in re.findall(r"""require\(["']([^"']+)["']\)""", path.read_text()):
            assert name.startswith((".", "node:")), f"{path}: {name}"


def test_what_it_is_tested_with_is_pinned():
    assert all(
        re.fullmatch(r"\d+\.\d+\.\d+", version) for version in PACKAGE["devDependencies"].values()
    )


def test_its_licence_is_the_projects():
    for name in ("LICENSE", "NOTICE"):
        assert (SDK / name).read_text() == (ROOT / name).read_text()
        assert name in PACKAGE["files"]


def test_its_version_is_that_of_the_other_packages():
    assert (
        f'version = "{PACKAGE["version"]}"'
        in (ROOT / "sdk" / "python" / "pyproject.toml").read_text()
    )


def test_both_kinds_of_modules_and_their_types_are_named():
    exports = PACKAGE["exports"]["."]
    for kind in ("import", "require"):
        assert list(exports[kind]) == ["types", "default"]
        assert all((SDK / place).exists() for place in exports[kind].values())
