"""The URL of an endpoint, taken apart: where to connect, and what to ask for there."""

from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

UNIX_SCHEMES = ("http+unix", "https+unix")
_SOCKET_SUFFIX = ".sock"
_DEFAULT_PORTS = (80, 443)


@dataclass(frozen=True, slots=True)
class EndpointUrl:
    """Where requests go: `host` and `port`, or the file of a unix domain socket, over which there is no TLS.

    `target` is what the request line asks for, `host_header` whom it names.
    """

    host: str
    port: int
    target: str
    host_header: str
    is_tls: bool = False
    socket: str | None = None

    @property
    def authority(self) -> str:
        """Where connections are made to, as messages say it."""
        return self.socket or f"{self.host}:{self.port}"

    def __str__(self) -> str:
        """Return the URL as HTTP has it, in which a socket does not appear."""
        return f"{'https' if self.is_tls else 'http'}://{self.host_header}{self.target}"

    @classmethod
    def parse(cls, url: str) -> "EndpointUrl":
        """Take a URL apart; raise ValueError if it is one of a unix domain socket and names no socket."""
        parts = urlsplit(url)
        if parts.scheme in UNIX_SCHEMES:
            return _parse_unix(parts)
        is_tls = parts.scheme == "https"
        host = parts.hostname or ""
        header = f"[{host}]" if ":" in host else host
        if parts.port not in (None, *_DEFAULT_PORTS):
            header += f":{parts.port}"
        port = parts.port or (443 if is_tls else 80)
        return cls(host, port, _target(parts.path, parts), header, is_tls)


def _parse_unix(parts: SplitResult) -> EndpointUrl:
    """Everything up to the first path component that ends in `.sock` is the file, the rest is the target."""
    components = parts.path.split("/")
    for index, component in enumerate(components):
        if component.endswith(_SOCKET_SUFFIX):
            socket = unquote("/".join(components[: index + 1]))
            rest = "/".join(("", *components[index + 1 :]))
            return EndpointUrl("", 0, _target(rest, parts), "unused", socket=socket)
    raise ValueError(f"names no socket: no part of its path ends in {_SOCKET_SUFFIX}")


def _target(path: str, parts: SplitResult) -> str:
    target = path or "/"
    if parts.query:
        target += f"?{parts.query}"
    if parts.fragment:
        target += f"#{parts.fragment}"
    return target
