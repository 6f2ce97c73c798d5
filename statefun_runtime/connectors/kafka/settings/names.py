"""What Kafka lets a topic be called, and where it lets a broker be."""

import re
from functools import lru_cache

TOPIC_FORM = "a name has up to 249 letters, digits, '.', '_' and '-'; each topic is named, there are no patterns"
_TOPIC_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")
_SERVER = re.compile(
    r"(?:[0-9A-Za-z\-%._]+://)?(?:\[[0-9A-Za-z%.:]+\]|[0-9A-Za-z\-%._]+):(?P<port>[0-9]+)"
)
_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_PORT_MAX = 65_535


@lru_cache(1024)
def why_no_topic(name: str) -> str | None:
    """Return why nothing can be called so, or None: records for it would wait for ever."""
    if _TOPIC_NAME.fullmatch(name) and name not in (".", ".."):
        return None
    return f"{name!r} is not the name of a topic"


def is_server(text: str) -> bool:
    """Return whether a text is `host:port`, perhaps with a listener's name in front, as Java's client takes it."""
    found = _SERVER.fullmatch(text)
    return found is not None and 1 <= int(found["port"]) <= _PORT_MAX


def protocol_of(server: str) -> str | None:
    """Return the protocol that a listener's name in front of a server is; None if it is none, or not there."""
    name = server.partition("://")[0].upper()
    return name if "://" in server and name in _PROTOCOLS else None


def plain_servers(servers: str) -> str:
    """Return servers without the names of listeners, which say nothing to a client."""
    each = (server.strip() for server in servers.split(","))
    return ",".join(server.rpartition("://")[2] for server in each if server)
