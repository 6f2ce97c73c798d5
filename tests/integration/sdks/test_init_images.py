"""The images of what `statefun init` makes: built from what their Dockerfiles copy, and run as compose.yaml says."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import skip_or_fail
from tests.support.processes import Process
from tests.support.provisions import Unavailable
from tests.support.sdks.images import Image, build
from tests.support.sockets import free_port, http_get, http_request

pytestmark = pytest.mark.integration

LANGUAGES = ["python", "go", "javascript"]
NEEDED = {"python": (), "go": ("go",), "javascript": ("node", "npm")}
# Who listens at 127.0.0.1 alone would not be reached from another container.
FROM_OUTSIDE = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"
Made = Callable[..., Path]


@pytest.fixture
def made(tmp_path: Path, pytestconfig: pytest.Config) -> Made:
    """Return a function that makes a project."""

    def make(language: str, *flags: str) -> Path:
        for tool in NEEDED[language]:
            if shutil.which(tool) is None:
                skip_or_fail(pytestconfig, f"{tool} (images in {language})", Unavailable(tool))
        folder = tmp_path / f"made{len(flags)}" / "flower-shop"
        command = [sys.executable, "-m", "statefun", "init", str(folder), "--language", language]
        subprocess.run([*command, *flags], check=True, capture_output=True)
        return folder

    return make


def services(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((folder / "compose.yaml").read_text())["services"]
    return found


def prepare(folder: Path) -> None:
    """Do what the README says is to be done before images are built."""
    said = (folder / "README.md").read_text()
    block = re.search(r"## In containers\n\n```\n(.*?)docker compose up --build\n```", said, re.S)
    assert block is not None
    # Nothing is fetched: what a project needs of others is there since its SDK was built.
    offline = {**os.environ, "GOPROXY": "off", "npm_config_offline": "true"}
    if (folder / "package.json").exists():
        # As whoever has run it before: a link to the SDK is no file for an image.
        subprocess.run(["npm", "install"], cwd=folder, env=offline, check=True, capture_output=True)
    for line in block[1].splitlines():
        subprocess.run(line.split(), cwd=folder, env=offline, check=True, capture_output=True)


def images(folder: Path) -> Iterator[tuple[str, Image, dict[str, str]]]:
    """Build the image of each service, and tell what compose.yaml has it know; all services are on this machine."""
    for name, service in services(folder).items():
        dockerfile = "Dockerfile"
        if isinstance(service["build"], dict):
            dockerfile = service["build"]["dockerfile"]
        image = build(folder, dockerfile, folder.parent / name)
        told = {
            key: re.sub(r"^\w+:", f"{FROM_OUTSIDE}:", value)
            for key, value in service.get("environment", {}).items()
        }
        yield name, image, {**image.environment, **told}


@pytest.mark.parametrize("language", LANGUAGES)
def test_images_greet(made: Made, language: str):
    folder = made(language)
    prepare(folder)
    ports = {name: free_port() for name in ("8000", "8090", "8091")}
    for name in ("Dockerfile", "compose.yaml", "module.yaml", "functions.mjs"):
        if (file := folder / name).exists():
            text = file.read_text()
            for port, free in ports.items():
                text = text.replace(port, str(free))
            file.write_text(text)

    with ExitStack() as ends:
        for name, image, told in images(folder):
            command = image.here(image.command)
            if name == "worker":
                # Another's metrics may be at the port that it takes by itself.
                command += ["--metrics-port", str(free_port())]
            log = folder.parent / f"{name}.log"
            process = Process(
                ["env", "-i", *(f"{key}={value}" for key, value in told.items()), *command],
                log=log,
                cwd=image.inside("."),
            )
            ends.callback(process.stop)
        process.wait_for_port(ports["8090"])
        url = f"http://{FROM_OUTSIDE}:{ports['8090']}/flower-shop/greeter/alice"
        assert http_request("PUT", url, b"hello") == (200, b"")

        def record() -> bytes | None:
            answer = http_get(f"http://{FROM_OUTSIDE}:{ports['8091']}/greetings")
            return answer[1] if answer is not None and answer[0] == 200 else None

        assert process.wait_for(record, "a greeting") == b"Hello alice for the 1. time"


@pytest.mark.parametrize("language", LANGUAGES)
def test_with_kafka_images_are_the_same_and_know_where_it_is(made: Made, language: str):
    folder, with_kafka = made(language), made(language, "--kafka")

    for image in ("Dockerfile", "worker.Dockerfile"):
        if (folder / image).exists():
            assert (folder / image).read_bytes() == (with_kafka / image).read_bytes()
    assert "kafka" not in services(folder)
    there = services(with_kafka)
    told = there["worker"]["environment"]
    assert set(told) == set(re.findall(r"\$\{(\w+)", (with_kafka / "module.yaml").read_text()))
    assert {value.partition(":")[0] for value in told.values()} == {*there} - {"worker"}
