"""Tries whether an endpoint can be reached: a connection and TLS, over which nothing is asked.

A request would not be harmless: an endpoint may take any POST for an invocation, and a batch of none is nothing that
StateFun ever sends.
"""

import asyncio
import socket
import ssl
from dataclasses import dataclass
from datetime import datetime

from statefun_runtime.adapters.dialling import Dialler
from statefun_runtime.adapters.http.certificates import validity


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an endpoint listens: host and port, or the file of a unix domain socket."""

    host: str = ""
    port: int = 0
    socket: str | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """An endpoint took a connection; `certificate_end` is when its certificate ends, with TLS."""

    seconds: float
    certificate_end: datetime | None = None


async def reach(destination: Destination, tls: ssl.SSLContext | None) -> Reached:
    """Connect and leave; raises OSError, whose reason `why_not` says."""
    clock = asyncio.get_running_loop().time
    begin_s = clock()
    if destination.socket is not None:
        _, writer = await asyncio.open_unix_connection(destination.socket)
    else:
        # As the worker connects: a dead first address must not hide a good second one.
        _, writer = await asyncio.open_connection(
            sock=await Dialler().dial(destination.host, destination.port),
            ssl=tls,
            server_hostname=destination.host if tls else None,
        )
    try:
        return Reached(clock() - begin_s, _certificate_end(writer))
    finally:
        writer.transport.abort()


def _certificate_end(writer: asyncio.StreamWriter) -> datetime | None:
    tls = writer.get_extra_info("ssl_object")
    certificate = None if tls is None else tls.getpeercert(binary_form=True)
    return None if certificate is None else validity(certificate).end


def why_not(error: OSError) -> str:
    """Return why there is no connection, without the address, which the caller says."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not accepted: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS fails: {(error.reason or 'no reason given').lower().replace('_', ' ')}"
        case socket.gaierror():
            return "its name cannot be resolved"
        case TimeoutError():
            return "no connection in time"
        case ConnectionRefusedError():
            return "connection refused"
        case ConnectionResetError():
            return "connection reset"
    if error.errno is None:
        # Several addresses were tried in vain; asyncio keeps the reasons as text only.
        return "connection refused" if "Connect call failed" in str(error) else "no connection"
    return (error.strerror or "no connection").lower()
