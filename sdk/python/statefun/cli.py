"""`statefun`: what a function author calls."""

import argparse
import logging
import sys
from collections.abc import Sequence

_EXAMPLES = """\
examples:
  statefun serve shop.functions:functions
  statefun serve shop.functions --port 9000 --processes 4
  statefun serve shop.functions --threads 16        plain functions that block do not stop each other
  statefun serve shop.functions --unix /run/shop.sock

Functions are the StatefulFunctions in a module, `functions` if no other name is given. A worker finds them with

  kind: io.statefun.endpoints.v2/http
  spec:
    functions: shop/*
    urlPathTemplate: http://127.0.0.1:8000/statefun

SIGTERM or Ctrl-C: no more connections, what was asked is answered, and the server ends; a second one ends it at once.
"""


# Whose lines go into a log that has the time in front of each says none itself.
_FORMAT = "%(asctime)s %(levelname)s %(message)s"

_DEV_EXAMPLES = """\
examples:
  statefun dev shop.functions --topic receipts
  statefun dev shop.functions:functions --module module.yaml
  statefun dev --module module.yaml                       functions that the module embeds
  statefun dev --module module.yaml --local-kafka         Kafka in memory: no broker is needed
  statefun dev --module module.yaml -- node functions.mjs

Functions have the terminal, so breakpoint() works. Ctrl-C ends everything, and what it started; a second one at once.
State stays in --state-dir.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="statefun", description="Write and serve stateful functions."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    serve = commands.add_parser(
        "serve",
        help="serve functions over HTTP",
        description="Serve functions over HTTP, with many addresses in one request where the runtime can.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_flags(serve)
    dev = commands.add_parser(
        "dev",
        help="run a worker and functions in one terminal",
        description="Run a worker and functions in one terminal; functions start anew when a file changes, state stays.",
        epilog=_DEV_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_dev_flags(dev)
    _add_init(commands.add_parser("init", help="make a project that runs at once"))
    options = parser.parse_args(arguments)
    return {"serve": _serve, "dev": _dev, "init": _init}[options.command](options)


def _add_init(init: argparse.ArgumentParser) -> None:
    init.description = (
        "Make a folder with module.yaml, functions, tests, Dockerfile, compose.yaml and README.md."
    )
    init.add_argument("name", metavar="NAME", help="of the folder, and the namespace of functions")
    init.add_argument("--language", choices=["python", "go", "javascript"], default="python")
    init.add_argument("--kafka", action="store_true", help="in and out by Kafka instead of HTTP")
    init.add_argument(
        "--sdk", metavar="FOLDER", help="where the SDK for Go or JavaScript is, in a clone"
    )


def _init(options: argparse.Namespace) -> int:
    from statefun.starting.command import init

    return init(options)


def _add_dev_flags(dev: argparse.ArgumentParser) -> None:
    dev.add_argument(
        "functions", nargs="?", metavar="MODULE[:NAME]", help="where the StatefulFunctions are"
    )
    dev.add_argument(
        "serving", nargs="*", metavar="COMMAND", help="what serves functions of another language"
    )
    dev.add_argument(
        "--module", metavar="FILE", help="module.yaml; without, one is made: HTTP in and out"
    )
    dev.add_argument(
        "--topic", action="append", metavar="NAME", help="of the HTTP egress (default results)"
    )
    dev.add_argument(
        "--port", type=int, default=8000, help="of the functions (default %(default)s)"
    )
    dev.add_argument("--ingress-port", type=int, default=8090, help="(default %(default)s)")
    dev.add_argument("--egress-port", type=int, default=8091, help="(default %(default)s)")
    dev.add_argument(
        "--local-kafka",
        action="store_true",
        help="no broker is needed: the topics of the module are in memory, and end with the worker",
    )
    dev.add_argument(
        "--kafka-port",
        type=int,
        default=8092,
        help="of --local-kafka, to put records in and take them (default %(default)s)",
    )
    dev.add_argument(
        "--metrics-port", type=int, default=9090, help="of the worker (default %(default)s)"
    )
    dev.add_argument(
        "--state-dir", default=".statefun", help="where state stays (default %(default)s)"
    )


def _dev(options: argparse.Namespace) -> int:
    from statefun.dev.command import dev

    options.topic = options.topic or ["results"]
    if options.module is not None and options.serving:
        # What is behind -- is a command; without functions of Python, its first word stands in their place.
        options.serving = [options.functions, *options.serving]
        options.functions = None
    return dev(options)


def _add_flags(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("functions", metavar="MODULE[:NAME]", help="where the StatefulFunctions are")
    serve.add_argument("--host", default="127.0.0.1", help="0.0.0.0 for all (default %(default)s)")
    serve.add_argument("--port", type=int, default=8000, help="0 for any (default %(default)s)")
    serve.add_argument("--unix", metavar="FILE", help="listen at a unix domain socket instead")
    serve.add_argument("--path", default="/statefun", help="and below it (default %(default)s)")
    serve.add_argument(
        "--health-path",
        default="/health",
        help="answers 200 while all is well (default %(default)s)",
    )
    serve.add_argument(
        "--processes", type=_count, default=1, metavar="N", help="that share the port (default 1)"
    )
    serve.add_argument(
        "--threads",
        type=int,
        default=0,
        metavar="N",
        help="for plain functions, of each process; without, they run one at a time",
    )
    serve.add_argument(
        "--grace",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="for what is asked when the server is to end (default 30)",
    )
    serve.add_argument(
        "--show-tracebacks", action="store_true", help="to the runtime's operator, too"
    )
    serve.add_argument("--quiet", action="store_true", help="say nothing but warnings and errors")
    # For whoever runs this as a process of its own: a socket that it holds the other end of.
    serve.add_argument("--supervised", type=int, metavar="FD", help=argparse.SUPPRESS)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _serve(options: argparse.Namespace) -> int:
    logging.basicConfig(
        level=logging.WARNING if options.quiet else logging.INFO,
        format=_FORMAT if options.supervised is None else _FORMAT.removeprefix("%(asctime)s "),
    )
    try:
        from statefun.serving.command import serve
    except ModuleNotFoundError as error:
        if error.name != "httptools":
            raise
        print(
            "statefun: serve needs httptools; install it with: pip install 'statefun-sdk[serve]'",
            file=sys.stderr,
        )
        return 2
    return serve(options)
