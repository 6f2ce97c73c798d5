"""A function that keeps 200 kB for each address, behind aiohttp with its own limit or another: arguments port, limit.

The first message to an address takes a second, so that those behind it gather. Prints how many requests were refused.
"""

import asyncio
import sys

from aiohttp import web
from statefun import Context, Message, RequestReplyHandler, StatefulFunctions, ValueSpec
from statefun.types import IntType, StringType

functions = StatefulFunctions()


@functions.bind("t/keeping", specs=[ValueSpec("kept", StringType), ValueSpec("count", IntType)])
async def keeping(context: Context, message: Message) -> None:
    if context.storage.kept is None:
        await asyncio.sleep(1.0)
        context.storage.kept = "x" * 200_000
    context.storage.count = (context.storage.count or 0) + 1
    print(f"{context.address.id} {context.storage.count}", flush=True)


handler = RequestReplyHandler(functions)


async def handle(request: web.Request) -> web.Response:
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        print("refused", flush=True)
        raise
    answer = await handler.respond_async(body)
    return web.Response(status=answer.status, content_type=answer.content_type, body=answer.body)


if __name__ == "__main__":
    app = web.Application(client_max_size=int(sys.argv[2]))
    app.add_routes([web.post("/statefun", handle)])
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
