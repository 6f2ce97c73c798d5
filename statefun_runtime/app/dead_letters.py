"""The dead letters of an application: where they go, who makes them of what, and where they are found again."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from statefun_runtime.core.model.dead_letter import DeadLetter, Origin, read_letter
from statefun_runtime.core.module.specs import DeadLetterRoute
from statefun_runtime.engine.dispatch.outcomes import Outcomes
from statefun_runtime.errors import ConfigError
from statefun_runtime.ports.egress import Refused, TellRefused
from statefun_runtime.ports.module import EgressSpec, ModuleSpec

log = logging.getLogger("statefun.egress")

# ── where they go ──


def check_routes(module: ModuleSpec, outcomes: Outcomes) -> None:
    """Raise ConfigError for a route whose egress takes no letter."""
    for owner, route in dead_letter_routes(module):
        reason = outcomes.why_refused(route)
        if reason is not None:
            raise ConfigError(
                f"dead letters of {owner} cannot go to topic '{route.topic}' of egress '{route.egress}': {reason}",
                code="SF1054",
                hint="name a topic that the egress takes in 'deadLetters'",
            )


def dead_letter_routes(module: ModuleSpec) -> Iterator[tuple[str, DeadLetterRoute]]:
    """Yield who has declared where dead letters go, and where."""
    for endpoint in module.endpoints:
        if endpoint.dead_letters is not None:
            yield f"the functions {endpoint.pattern}", endpoint.dead_letters
    for ingress in module.ingresses:
        if ingress.dead_letters is not None:
            yield f"ingress '{ingress.id}'", ingress.dead_letters
    for egress in module.egresses:
        if egress.dead_letters is not None:
            yield f"egress '{egress.id}'", egress.dead_letters


def letters_of(spec: EgressSpec, outcomes: Outcomes) -> TellRefused:
    """Return what makes dead letters of the records that the outside of an egress refuses for good."""

    def tell(record: Refused, why: str) -> bool:
        if spec.dead_letters is None:
            return False
        origin = Origin(f"egress {spec.id}", record.topic, "", record.key, record.value)
        refused = outcomes.forward(spec.dead_letters, origin, reason="refused", error=why)
        if refused is not None:
            return False
        log.error(
            "egress %s: a record of %d bytes for topic %s is a dead letter, the broker refuses it for good: %s",
            spec.id,
            len(record.value),
            record.topic,
            why,
        )
        return True

    return tell


# ── where they are found ──


def letters_in_file(name: str) -> Iterator[DeadLetter]:
    """Yield the letters of a file with one a line, or of standard input if it is `-`."""
    try:
        lines = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{name} cannot be read: {error}", code="SF1111") from error
    for number, line in enumerate(lines.splitlines(), 1):
        if line.strip():
            yield parse_letter(line, f"{name}, line {number}")


def letters_in_topics(module: ModuleSpec) -> list[DeadLetter]:
    """Return what is in every topic of dead letters that can be read."""
    egresses = {spec.id: spec for spec in module.egresses}
    places = dict.fromkeys((route.egress, route.topic) for _, route in dead_letter_routes(module))
    found = [
        (topic, letters)
        for egress, topic in places
        if (letters := egresses[egress].letters(topic)) is not None
    ]
    if not found:
        raise ConfigError(
            "the module sends no dead letters to a Kafka topic",
            code="SF1111",
            hint="read them where they are, and name the file: --from FILE, or --from - for standard input",
        )
    return asyncio.run(_read(found))


async def _read(topics: list[tuple[str, AsyncIterator[bytes]]]) -> list[DeadLetter]:
    return [
        parse_letter(value, f"topic '{topic}'")
        for topic, letters in topics
        async for value in letters
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
