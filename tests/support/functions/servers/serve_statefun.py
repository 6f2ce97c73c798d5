"""Answers every request with the reply in $REPLY, under `statefun serve`; `slow` takes 20 ms."""

import asyncio
import os

from statefun import Context, Message, StatefulFunctions, egress_message_builder, simple_type
from statefun._wire import FromFunction

_RECORD = simple_type("io.statefun.playground/EgressRecord", lambda value: value, lambda data: data)
_VALUE = (
    FromFunction.FromString(bytes.fromhex(os.environ["REPLY"]))
    .invocation_result.outgoing_egresses[0]
    .argument.value
)
functions = StatefulFunctions()


@functions.bind("t/fast")
def fast(context: Context, message: Message) -> None:
    context.send_egress(egress_message_builder("io.statefun.playground/egress", _VALUE, _RECORD))


@functions.bind("t/slow")
async def slow(context: Context, message: Message) -> None:
    await asyncio.sleep(0.02)
    fast(context, message)
