"""What a Dockerfile makes, as far as that can be had without containers: a folder for each stage, with nothing but what is
copied into it, and commands that find nothing on their path but what the base image has. What pip would fetch is not
fetched: it must be a package of ours, with extras that it has.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement

# What is on the path of the images that may be begun with.
_BASES = {
    "python:3.12-slim": ["pip", "python"],
    "node:22-slim": ["node", "npm"],
    "golang:1.24": ["go"],
    "scratch": [],
}


@dataclass
class Image:
    """A folder that stands for an image; the command is what it runs."""

    root: Path
    on_path: dict[str, Path]
    folder: PurePosixPath = field(default_factory=lambda: PurePosixPath("/"))
    environment: dict[str, str] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)

    def inside(self, path: str) -> Path:
        """Return where a path of the image is."""
        return self.root / str(self.folder / path).removeprefix("/")

    def here(self, words: list[str]) -> list[str]:
        """Return a command as it can be run here; absolute paths in it are the image's."""
        found = [str(self.inside(word)) if word.startswith("/") else word for word in words]
        if "/" not in found[0]:
            assert found[0] in self.on_path, f"{found[0]} is not in the image"
            found[0] = str(self.on_path[found[0]])
        return found


def build(context: Path, dockerfile: str, where: Path) -> Image:
    """Make the last stage of a Dockerfile."""
    stages: dict[str, Image] = {}
    for word, rest in _instructions((context / dockerfile).read_text()):
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            image = Image(where / f"stage-{len(stages)}", _found(_BASES[base]))
            image.root.mkdir(parents=True)
            stages[name] = image
            continue
        match word:
            case "WORKDIR":
                image.folder = PurePosixPath(rest)
                image.inside(".").mkdir(parents=True, exist_ok=True)
            case "ENV":
                key, _, value = rest.partition("=")
                image.environment[key] = value
            case "COPY":
                _copy(image, rest.split(), context, stages)
            case "RUN":
                _run(image, shlex.split(rest))
            case "CMD" | "ENTRYPOINT":
                image.command = json.loads(rest)
            case _:
                raise AssertionError(f"{word} in {dockerfile} is not known here")
    for path in image.root.rglob("*"):
        assert base != "scratch" or b"/ld-" not in path.read_bytes()[:4096], (
            f"{path} needs a loader"
        )
        assert path.resolve().is_relative_to(image.root.resolve()), f"{path} leads out of the image"
    return image


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if line and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            yield word, rest


def _found(commands: list[str]) -> dict[str, Path]:
    return {each: Path(path) for each in commands if (path := shutil.which(each)) is not None}


def _copy(image: Image, words: list[str], context: Path, stages: dict[str, Image]) -> None:
    if words[0].startswith("--from="):
        context = stages[words.pop(0).removeprefix("--from=")].root
    *sources, target = words
    assert len(sources) == 1 or target.endswith("/"), f"{target} must be a folder"
    for source in sources:
        path, to = context / source.removeprefix("/"), image.inside(target)
        if path.is_dir():
            # The content of a folder is copied, and links as they are.
            shutil.copytree(path, to, symlinks=True, dirs_exist_ok=True)
        else:
            into = to / path.name if target.endswith("/") or to.is_dir() else to
            shutil.copy2(path, into)


def _run(image: Image, words: list[str]) -> None:
    if words[:2] == ["pip", "install"]:
        for each in _wanted(image, words[2:]):
            _pretend_to_install(image, Requirement(each))
        return
    given = {}
    while "=" in words[0]:
        key, _, given[key] = words.pop(0).partition("=")
    # Compilers keep what they made of Python's and Go's own libraries where they always do; nothing is fetched.
    offline = {"GOPROXY": "off", "GOMODCACHE": str(image.root.parent / "modules")}
    done = subprocess.run(
        image.here(words),
        cwd=image.inside("."),
        env={**os.environ, **offline, **image.environment, **given},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _wanted(image: Image, arguments: list[str]) -> Iterator[str]:
    words = iter(each for each in arguments if each != "--no-cache-dir")
    for word in words:
        if word == "-r":
            yield from image.inside(next(words)).read_text().split()
        else:
            yield word


def _pretend_to_install(image: Image, wanted: Requirement) -> None:
    found = distribution(wanted.name)
    assert wanted.extras <= set(found.metadata.get_all("Provides-Extra") or ()), wanted
    for entry in found.entry_points.select(group="console_scripts"):
        image.on_path[entry.name] = Path(sys.executable).with_name(entry.name)
