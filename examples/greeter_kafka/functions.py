"""The greeter of the StateFun README: names come from Kafka, greetings go to Kafka."""

import argparse

from aiohttp import web
from statefun import (
    Context,
    IntType,
    Message,
    RequestReplyHandler,
    StatefulFunctions,
    ValueSpec,
    kafka_egress_message,
)

functions = StatefulFunctions()


@functions.bind("demo/greeter", specs=[ValueSpec("seen", IntType)])
async def greet(context: Context, message: Message) -> None:
    """Count how often a name was seen, and greet it."""
    seen = (context.storage.seen or 0) + 1
    context.storage.seen = seen
    name = context.address.id
    text = f"Hello {name}!" if seen == 1 else f"Hello again {name}! You were seen {seen} times."
    context.send_egress(
        kafka_egress_message(typename="demo/greetings", topic="greetings", key=name, value=text)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    flags = parser.parse_args()
    handler = RequestReplyHandler(functions)

    async def serve(request: web.Request) -> web.Response:
        reply = await handler.respond_async(await request.read())
        return web.Response(status=reply.status, content_type=reply.content_type, body=reply.body)

    app = web.Application()
    app.router.add_post("/statefun", serve)
    web.run_app(app, host=flags.host, port=flags.port, print=None)


if __name__ == "__main__":
    main()
