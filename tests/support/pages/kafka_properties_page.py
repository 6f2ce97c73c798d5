"""docs/reference/kafka-properties.md, as the table in core has it.

python -m tests.support.pages.kafka_properties_page     writes it
"""

from statefun_runtime.connectors.kafka.settings.properties import (
    COMMON,
    CONSUMER,
    PRODUCER,
    SECURITY,
    Outcome,
    Property,
)
from tests.support.provisions import ROOT

PAGE = ROOT / "docs/reference/kafka-properties.md"


def page() -> str:
    """Return docs/reference/kafka-properties.md as the tables have it."""
    common = {each.name for each in COMMON}
    sections = [
        ("Ingress and egress", [each for each in COMMON if each not in SECURITY]),
        ("SASL and TLS", list(SECURITY)),
        ("Ingress", [each for each in CONSUMER.values() if each.name not in common]),
        ("Egress", [each for each in PRODUCER.values() if each.name not in common]),
    ]
    head = (
        "# Kafka's properties\n\n"
        "What may stand below `properties` of a Kafka ingress or egress, and what becomes of it. Names and values are\n"
        "those of the Java client; `statefun-worker validate` checks them. What is ignored is named in a warning, unless\n"
        "its value is how things are anyway. A property of another name is ignored with a warning too.\n"
        "This page is printed from the table in `connectors/kafka/settings/properties.py`; a test holds it to it.\n"
    )
    return head + "".join(_section(title, members) for title, members in sections)


def _section(title: str, members: list[Property]) -> str:
    used = [each for each in members if each.outcome is Outcome.USED]
    ignored = [each for each in members if each.outcome is Outcome.IGNORED]
    lines = [f"\n## {title}\n", "| property | value | |", "|---|---|---|"]
    lines += [f"| `{each.name}` | {each.form} | {each.note} |" for each in used]
    lines += ["\n| ignored | because |", "|---|---|"]
    lines += [f"| `{each.name}` | {each.note} |" for each in ignored]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"wrote {PAGE.relative_to(ROOT)}")
