"""A function that raises for the id `bad`, behind aiohttp in the way that the SDK's README shows."""

import sys

from aiohttp import web
from statefun import Context, Message, RequestReplyHandler, StatefulFunctions

functions = StatefulFunctions()


@functions.bind("t/raising")
async def raising(context: Context, message: Message) -> None:
    if context.address.id != "good":
        raise LookupError(f"no customer {context.address.id!r}\nof any kind")


handler = RequestReplyHandler(functions)


async def handle(request: web.Request) -> web.Response:
    answer = await handler.respond_async(await request.read())
    return web.Response(status=answer.status, content_type=answer.content_type, body=answer.body)


if __name__ == "__main__":
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.add_routes([web.post("/statefun", handle)])
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
