"""The greeter with a large state beside its count: as many bytes as the environment says, written anew each time."""

import os

from statefun import Context, IntType, Message, StatefulFunctions, ValueSpec, simple_type

from tests.bench.functions.greeter import greet

BLOB = simple_type("bench/blob", bytes, bytes)
STATE_BYTES = int(os.environ.get("BENCH_STATE_BYTES", "0"))
functions = StatefulFunctions()


@functions.bind("demo/greeter", specs=[ValueSpec("seen", IntType), ValueSpec("blob", BLOB)])
def large(context: Context, message: Message) -> None:
    before = context.storage.blob
    assert before is None or len(before) == STATE_BYTES
    greet(context, message)
    # As good as random: neither of the two ends can make it small.
    context.storage.blob = os.urandom(16).ljust(STATE_BYTES, b"s")[:STATE_BYTES]
