"""The greeter, whose addresses take as long as their message says: `sleep=2.0;` is two seconds for
its whole batch, and no record.
"""

import asyncio

from statefun import Context, IntType, Message, StatefulFunctions, ValueSpec

from tests.bench.functions.greeter import greet

functions = StatefulFunctions()
# By id, the context of the batch that took its time last: one serves a whole batch.
_slept: dict[str, Context] = {}


@functions.bind("demo/greeter", specs=[ValueSpec("seen", IntType)])
async def either(context: Context, message: Message) -> None:
    value = message.raw_value() or b""
    if value.startswith(b"sleep="):
        if _slept.get(context.address.id) is not context:
            _slept[context.address.id] = context
            await asyncio.sleep(float(value[6:].partition(b";")[0]))
    else:
        greet(context, message)
