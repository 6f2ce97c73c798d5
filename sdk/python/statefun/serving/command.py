"""`statefun serve`, with its flags read."""

import argparse
import logging
import os
import socket
import sys

from statefun.handler import RequestReplyHandler
from statefun.serving.processes import Family, listen, run
from statefun.serving.program import ProgramError, load
from statefun.serving.server import Server
from statefun.serving.supervised import Supervisor

log = logging.getLogger("statefun")


def serve(options: argparse.Namespace) -> int:
    """Serve until told to end; return the exit status."""
    supervisor = None
    if options.supervised is not None:
        supervisor = Supervisor(options.supervised, grace_s=options.grace)
    try:
        handler = load(
            options.functions,
            sync_threads=options.threads,
            show_tracebacks=options.show_tracebacks,
        )
        listener = listen(options.host, options.port, options.unix)
    except ProgramError as error:
        if supervisor is not None:
            supervisor.tell(error=str(error))
        else:
            print(f"statefun: {error}", file=sys.stderr)
        return 2
    except (OSError, OverflowError) as error:
        where = options.unix or f"{options.host}:{options.port}"
        text = getattr(error, "strerror", None) or str(error)
        hint = (
            "; is it another server's? choose another with --port" if options.unix is None else ""
        )
        print(f"statefun: cannot listen at {where}: {text.lower()}{hint}", file=sys.stderr)
        return 2
    if supervisor is not None:
        supervisor.tell(functions=handler.functions.typenames)
    else:
        _say(options, handler, listener)
    return _run(options, handler, listener)


def _run(options: argparse.Namespace, handler: RequestReplyHandler, listener: socket.socket) -> int:
    def make() -> Server:
        return Server(handler, path=options.path, health_path=options.health_path)

    def child(parent: int) -> int:
        return run(make, listener, grace_s=options.grace, parent=parent)

    try:
        if options.processes > 1:
            return Family(options.processes, child).run()
        return run(make, listener, grace_s=options.grace)
    finally:
        if options.unix and os.path.exists(options.unix):
            os.unlink(options.unix)
        if options.supervised is None:
            log.info("ended")


def _say(
    options: argparse.Namespace, handler: RequestReplyHandler, listener: socket.socket
) -> None:
    if options.unix:
        where = f"http+unix://{os.path.abspath(options.unix)}{options.path}"
    else:
        host, port = listener.getsockname()[:2]
        where = f"http://{f'[{host}]' if ':' in host else host}:{port}{options.path}"
    served = ", ".join(handler.functions.typenames) or "nothing: no function is bound"
    log.info("serving %s at %s", served, where)
