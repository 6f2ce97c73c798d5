"""What fnserver.c does, written with the Python SDK, ours or the stock one; the topic comes from the environment.

`functions` are for `statefun serve` of ours; run as a program it is served by aiohttp, as both can be.
"""

import os
import sys

from statefun import (
    Context,
    IntType,
    Message,
    RequestReplyHandler,
    StatefulFunctions,
    ValueSpec,
    kafka_egress_message,
)

TOPIC = os.environ.get("BENCH_TOPIC", "")
functions = StatefulFunctions()


@functions.bind("demo/greeter", specs=[ValueSpec("seen", IntType)])
def greet(context: Context, message: Message) -> None:
    seen = (context.storage.seen or 0) + 1
    context.storage.seen = seen
    context.send_egress(
        kafka_egress_message(
            typename="demo.io/out",
            topic=TOPIC,
            key=context.address.id,
            value=b"%d;%b" % (seen, message.raw_value() or b""),
        )
    )


def main(port: int) -> None:
    from aiohttp import web

    handler = RequestReplyHandler(functions)

    async def serve(request: web.Request) -> web.Response:
        reply = await handler.handle_async(await request.read())
        return web.Response(body=reply, content_type="application/octet-stream")

    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.add_routes([web.post("/statefun", serve)])
    web.run_app(app, host="127.0.0.1", port=port, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
