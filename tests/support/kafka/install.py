"""Apache Kafka's server as jars in .cache, and the command that runs one of its Java programs."""

import os
import re
import subprocess
from functools import partial
from pathlib import Path

from tests.support.provisions import (
    CACHE,
    Unavailable,
    command_path,
    made_once,
    run_or_unavailable,
)

KAFKA_VERSION = "4.1.0"
JAVA_MAJOR_MIN = 17
_NAME = f"kafka-{KAFKA_VERSION}"
ARCHIVE = "server.jsa"
_POM = Path(__file__).parent / "pom.xml"


def is_prepared() -> bool:
    return (CACHE / _NAME / "libs").is_dir()


def prepare(version: str = KAFKA_VERSION) -> Path:
    """Return the directory of the jars; the first call needs Maven and a minute at worst."""
    _check_java()
    return made_once(f"kafka-{version}", partial(_resolve, version)) / "libs"


def java_command(
    program: str,
    *arguments: str | Path,
    options: tuple[str, ...] = (),
    version: str = KAFKA_VERSION,
) -> list[str]:
    """Return the command that runs a Java program from Kafka's jars."""
    archive = CACHE / archive_name(version) / ARCHIVE
    return [
        command_path("java"),
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        *([f"-XX:SharedArchiveFile={archive}"] if archive.exists() else []),
        *options,
        "-cp",
        f"{prepare(version)}{os.sep}*",
        program,
        *(str(argument) for argument in arguments),
    ]


def archive_name(version: str = KAFKA_VERSION) -> str:
    """Return under which name there is an archive of the classes of a version, read and checked already, if there is one."""
    return f"kafka-{version}-classes"


def _check_java() -> None:
    java = command_path("java")
    shown = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', shown)
    if found is None or int(found.group(1)) < JAVA_MAJOR_MIN:
        first = (shown.splitlines() or ["nothing"])[0]
        raise Unavailable(
            f"Java {JAVA_MAJOR_MIN} or newer is needed, 'java -version' says: {first}"
        )


def _resolve(version: str, directory: Path) -> None:
    # Maven writes beside the pom it reads, so it gets a copy.
    (directory / "pom.xml").write_text(_POM.read_text().replace(KAFKA_VERSION, version))
    goal = "org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies"
    where = [f"-DoutputDirectory={directory / 'libs'}", "-DincludeScope=runtime"]
    maven = command_path("mvn")
    run_or_unavailable([maven, "-q", "-B", goal, *where], cwd=directory, timeout_s=300)
