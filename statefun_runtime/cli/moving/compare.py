"""`statefun-worker compare TOPIC TOPIC.shadow`: whether a shadow says the same as its original."""

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from statefun_runtime.cli.flags import add_settings, load_modules
from statefun_runtime.cli.hiding import hiding
from statefun_runtime.cli.status import FAILED, GOOD
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.moving.agreement import Tolerance
from statefun_runtime.errors import ConfigError

if TYPE_CHECKING:
    from statefun_runtime.connectors.kafka.reading import Span, Where
    from statefun_runtime.connectors.kafka.specs import KafkaEgressSpec, KafkaIngressSpec
    from statefun_runtime.ports.module import ModuleSpec

_HELP = """\
For each key, the values of both topics have to be the same, in the same order. The order of different keys, topic
partitions, offsets, times and headers may differ; what has no key has no order. Only committed records are read.
Memory is bounded; some 60 bytes a record are sorted in a temporary folder (TMPDIR says where).

WHERE is a time (2026-03-01T10:30, or milliseconds since 1970), or offsets of topic partitions (0:1200,1:1187); for one
of the topics only: TOPIC=WHERE. Without it all that is there now is compared.

exit status:
  0  they say the same
  1  they do not, or could not be read
  2  a flag, a topic or the module has to be edited

examples:
  statefun-worker compare greetings greetings.shadow --kafka kafka:9092
  statefun-worker compare greetings greetings.shadow --module module.yaml --start greetings=2026-03-01T10:30 --open-start --open-end
  statefun-worker compare orders orders.shadow --module module.yaml --ignore created_at --ignore meta.host --format json
"""


def main(given: Sequence[str]) -> int:
    """Compare two topics; print the result."""
    flags = _parser().parse_args(given)
    from statefun_runtime.app.moving.compare import (
        Comparison,
        compare,
        compared_lines,
        to_json,
    )

    # What the Kafka client says of a broker that is away is in the error.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    told = _tell if sys.stderr.isatty() else _tell_nobody
    comparison = Comparison(
        _span(flags.first, flags),
        _span(flags.second, flags),
        Tolerance(end=flags.open_end, start=flags.open_start),
        tuple(tuple(path.split(".")) for path in flags.ignore),
        flags.limit,
        told,
    )
    loaded = load_modules(flags.module, flags) if flags.module else None
    with hiding(loaded.secrets if loaded else ()):
        spec = _spec(flags) if loaded is None else _of_module(loaded.required(), flags)
        try:
            compared = asyncio.run(compare(spec, comparison))
        finally:
            if told is _tell:
                print(end="\r\033[K", file=sys.stderr)
    if flags.format == "json":
        print(json.dumps(to_json(comparison, compared), indent=2))
    else:
        print("\n".join(compared_lines(comparison, compared)))
    return GOOD if compared.tally.is_same else FAILED


def _tell(records: int) -> None:
    print(f"\r{records:,} records read", end="", file=sys.stderr, flush=True)


def _tell_nobody(_: int) -> None:
    pass


def _spec(flags: argparse.Namespace) -> "KafkaEgressSpec":
    from statefun_runtime.connectors.kafka.specs import KafkaEgressSpec

    if not flags.kafka:
        raise _bad("no broker is named", "say --kafka HOST:PORT, or --module FILE for its egress")
    return KafkaEgressSpec(TypeName("statefun", "compare"), flags.kafka)


def _of_module(
    module: "ModuleSpec", flags: argparse.Namespace
) -> "KafkaEgressSpec | KafkaIngressSpec":
    """Return the component with whose address and security settings topics are read."""
    from statefun_runtime.connectors.kafka.specs import KafkaEgressSpec, KafkaIngressSpec

    found: list[KafkaEgressSpec | KafkaIngressSpec] = [
        spec
        for spec in (*module.egresses, *module.ingresses)
        if isinstance(spec, KafkaEgressSpec | KafkaIngressSpec)
    ]
    if flags.component:
        found = [spec for spec in found if str(spec.id) == flags.component]
    if not found:
        wanted = f"no Kafka component '{flags.component}'" if flags.component else "none of Kafka"
        raise _bad(f"the module has {wanted}", "--component names an egress or ingress by its id")
    return replace(found[0], bootstrap_servers=flags.kafka) if flags.kafka else found[0]


def _span(topic: str, flags: argparse.Namespace) -> "Span":
    from statefun_runtime.connectors.kafka.reading import Span

    return Span(topic, _where(topic, flags.start, flags), _where(topic, flags.end, flags))


def _where(topic: str, given: Sequence[str], flags: argparse.Namespace) -> "Where | None":
    """Return what is said of a topic, or else of both."""
    for_all = None
    for text in given:
        name, equals, rest = text.partition("=")
        if equals and name not in (flags.first, flags.second):
            raise _bad(f"{text!r} names a topic that is not compared", "TOPIC=WHERE, or WHERE")
        if equals and name == topic:
            return _parse(rest)
        if not equals:
            for_all = _parse(text)
    return for_all


def _parse(text: str) -> "Where":
    try:
        if text.isdigit():
            return int(text)
        if "-" in text:
            return int(datetime.fromisoformat(text).timestamp() * 1000)
        return {int(p): int(at) for p, _, at in (one.partition(":") for one in text.split(","))}
    except ValueError:
        raise _bad(
            f"{text!r} is neither a time nor offsets",
            "a time is 2026-03-01T10:30 or milliseconds since 1970; offsets are 0:1200,1:1187",
        ) from None


def _bad(message: str, hint: str) -> ConfigError:
    return ConfigError(message, code="SF1137", hint=hint)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="statefun-worker compare",
        description="See whether two topics say the same to each key: an application's, and its shadow's.",
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("first", metavar="TOPIC", help="what the original says")
    add("second", metavar="TOPIC.shadow", help="what the shadow says")
    add("--kafka", metavar="HOST:PORT", help="the brokers (default: those of the module's egress)")
    add(
        "--module",
        action="append",
        metavar="FILE",
        help="the application's module.yaml: brokers and security settings of its first Kafka egress are used",
    )
    add("--component", metavar="NS/NAME", help="use those of this egress or ingress of the module")
    add("--start", action="append", default=[], metavar="[TOPIC=]WHERE", help="where to begin")
    add("--end", action="append", default=[], metavar="[TOPIC=]WHERE", help="where to end")
    add(
        "--open-start",
        action="store_true",
        help="it is no difference for a key that one topic begins earlier than the other",
    )
    add(
        "--open-end",
        action="store_true",
        help="it is no difference for a key that one topic goes on behind the other's end: both are still written to",
    )
    add(
        "--ignore",
        action="append",
        default=[],
        metavar="FIELD",
        help="a field of JSON values that may differ, such as created_at or meta.host; may be repeated",
    )
    add("--limit", type=int, default=20, metavar="N", help="keys to show (default: 20)")
    add("--format", choices=("text", "json"), default="text", help="default: text")
    add_settings(parser)
    return parser
