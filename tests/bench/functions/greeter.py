"""What fnserver.c does, written with our Python SDK; the topic comes from the environment.

`functions` are for `statefun serve`; run as a program it is served by aiohttp, as in the README of the SDK.
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
        answer = await handler.respond_async(await request.read())
        return web.Response(
            status=answer.status, content_type=answer.content_type, body=answer.body
        )

    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.add_routes([web.post("/statefun", serve)])
    web.run_app(app, host="127.0.0.1", port=port, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
