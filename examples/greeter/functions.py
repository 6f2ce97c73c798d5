"""The greeter: `example/person` counts its visits, `example/greeter` finds the words for them.

    python functions.py [--host 127.0.0.1] [--port 8000]

Runs on this project's SDK and, unchanged, on the stock one.
"""

import argparse

from aiohttp import web
from statefun import (
    Context,
    IntType,
    Message,
    RequestReplyHandler,
    StatefulFunctions,
    ValueSpec,
    egress_message_builder,
    make_json_type,
    message_builder,
)

functions = StatefulFunctions()

GREET_REQUEST = make_json_type(typename="example/GreetRequest")
EGRESS_RECORD = make_json_type(typename="io.statefun.playground/EgressRecord")


@functions.bind(typename="example/person", specs=[ValueSpec(name="visits", type=IntType)])
async def person(context: Context, message: Message) -> None:
    visits = (context.storage.visits or 0) + 1
    context.storage.visits = visits

    request = message.as_type(GREET_REQUEST)
    request["visits"] = visits
    context.send(
        message_builder(
            target_typename="example/greeter",
            target_id=request["name"],
            value=request,
            value_type=GREET_REQUEST,
        )
    )


@functions.bind(typename="example/greeter")
async def greeter(context: Context, message: Message) -> None:
    request = message.as_type(GREET_REQUEST)
    record = {"topic": "greetings", "payload": greeting(request["name"], request["visits"])}
    context.send_egress(
        egress_message_builder(
            target_typename="io.statefun.playground/egress", value=record, value_type=EGRESS_RECORD
        )
    )


def greeting(name: str, visits: int) -> str:
    match visits:
        case 1:
            return f"Welcome {name}"
        case 2:
            return f"Nice to see you again {name}"
        case 3:
            return f"Third time is a charm {name}"
        case _:
            return f"Nice to see you at the {visits}-nth time {name}!"


handler = RequestReplyHandler(functions)


async def handle(request: web.Request) -> web.Response:
    answer = await handler.respond_async(await request.read())
    return web.Response(status=answer.status, content_type=answer.content_type, body=answer.body)


def application() -> web.Application:
    # aiohttp's own limit is 1 MiB, and a batch of many messages may be larger.
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.add_routes([web.post("/statefun", handle)])
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve the greeter's functions.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()

    def announce(*_: object) -> None:
        print(f"greeter functions at http://{arguments.host}:{arguments.port}/statefun", flush=True)

    web.run_app(
        application(),
        host=arguments.host,
        port=arguments.port,
        # aiohttp calls this once, when it listens.
        print=announce,
        shutdown_timeout=1,
    )


if __name__ == "__main__":
    main()
