"""The dead letters of an application, wherever it sends them or somebody has put them."""

import asyncio
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from statefun_runtime.app.dead_letters import dead_letter_routes
from statefun_runtime.core.model.dead_letter import DeadLetter, read_letter
from statefun_runtime.core.module.specs import KafkaEgressSpec, ModuleSpec
from statefun_runtime.errors import ConfigError


def letters_in_file(name: str) -> Iterator[DeadLetter]:
    """Yield the letters of a file with one a line, or of standard input if it is `-`."""
    try:
        lines = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{name} cannot be read: {error}", code="SF1111") from error
    for number, line in enumerate(lines.splitlines(), 1):
        if line.strip():
            yield parse_letter(line, f"{name}, line {number}")


def letters_in_kafka(module: ModuleSpec) -> list[DeadLetter]:
    """Return what is in every Kafka topic to which the module sends dead letters."""
    egresses = {spec.id: spec for spec in module.egresses}
    places = dict.fromkeys(
        (spec, route.topic)
        for _, route in dead_letter_routes(module)
        if isinstance(spec := egresses[route.egress], KafkaEgressSpec)
    )
    if not places:
        raise ConfigError(
            "the module sends no dead letters to a Kafka topic",
            code="SF1111",
            hint="read them where they are, and name the file: --from FILE, or --from - for standard input",
        )
    return asyncio.run(_read_topics(places))


async def _read_topics(places: Iterable[tuple[KafkaEgressSpec, str]]) -> list[DeadLetter]:
    from statefun_runtime.connectors.kafka.dead_letters import read_topic

    return [
        parse_letter(value, f"topic '{topic}'")
        for spec, topic in places
        async for value in read_topic(spec, topic)
    ]


def parse_letter(line: str | bytes, where: str) -> DeadLetter:
    """Read a letter; raise ConfigError, naming where it was found, if it is none."""
    try:
        return read_letter(line)
    except ValueError as error:
        raise ConfigError(
            f"{where}: {error}",
            code="SF1111",
            hint="a dead letter is one line of JSON as the worker wrote it",
        ) from None
