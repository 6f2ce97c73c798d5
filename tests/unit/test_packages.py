"""What is published: two packages, each with its license, a description that stands alone, and the error pages."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = [ROOT, ROOT / "sdk" / "python"]


def project(folder: Path) -> dict[str, object]:
    content = tomllib.loads((folder / "pyproject.toml").read_text())
    found: dict[str, object] = content["project"]
    return found


@pytest.mark.parametrize("folder", PACKAGES)
def test_a_package_has_the_license_and_says_whose_it_is(folder: Path):
    said = project(folder)
    assert (said["license"], said["license-files"]) == ("Apache-2.0", ["LICENSE", "NOTICE"])
    assert said["authors"]
    for name in ("LICENSE", "NOTICE"):
        assert (folder / name).read_bytes() == (ROOT / name).read_bytes()


@pytest.mark.parametrize("folder", PACKAGES)
def test_the_description_of_a_package_stands_alone(folder: Path):
    """An index shows it without the repository around it, where a relative link leads nowhere."""
    page = (folder / str(project(folder)["readme"])).read_text()
    links = re.findall(r"\]\(([^)]*)\)", page)
    assert [link for link in links if not link.startswith("https://")] == []


def test_both_packages_have_one_version():
    assert len({str(project(folder)["version"]) for folder in PACKAGES}) == 1


def test_the_error_pages_go_with_the_worker():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"]["force-include"] == {
        "docs/reference/errors": "statefun_runtime/error_pages"
    }
