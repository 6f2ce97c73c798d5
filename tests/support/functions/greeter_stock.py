"""The greeter of the examples, on the stock Python SDK (and on any that imports as `statefun`).

usage: greeter_stock.py PORT [playground|kafka]
"""

import sys

from statefun import (
    IntType,
    RequestReplyHandler,
    StatefulFunctions,
    ValueSpec,
    egress_message_builder,
    kafka_egress_message,
    make_json_type,
    message_builder,
)

GREET_REQUEST = make_json_type("example/GreetRequest")
EGRESS_RECORD = make_json_type("io.statefun.playground/EgressRecord")
TOPIC = "greetings"


def functions(egress: str) -> StatefulFunctions:
    """Return `example/person` and `example/greeter`; the greetings leave to the egress named."""
    bound = StatefulFunctions()

    @bound.bind("example/person", specs=[ValueSpec("visits", IntType)])
    async def person(context, message):  # type: ignore[no-untyped-def]
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

    @bound.bind("example/greeter")
    async def greeter(context, message):  # type: ignore[no-untyped-def]
        request = message.as_type(GREET_REQUEST)
        text = greeting(request["name"], request["visits"])
        if egress == "kafka":
            context.send_egress(
                kafka_egress_message(
                    typename="example/greets", topic=TOPIC, key=request["name"], value=text
                )
            )
        else:
            context.send_egress(
                egress_message_builder(
                    target_typename="io.statefun.playground/egress",
                    value={"topic": TOPIC, "payload": text},
                    value_type=EGRESS_RECORD,
                )
            )

    return bound


def greeting(name: str, visits: int) -> str:
    few = {1: "Welcome {}", 2: "Nice to see you again {}", 3: "Third time is a charm {}"}
    return few.get(visits, f"Nice to see you at the {visits}-nth time {{}}!").format(name)


playground = RequestReplyHandler(functions("playground")).handle_async
kafka = RequestReplyHandler(functions("kafka")).handle_async


def main(port: int, egress: str) -> None:
    from aiohttp import web

    handler = kafka if egress == "kafka" else playground

    async def serve(request):  # type: ignore[no-untyped-def]
        reply = await handler(await request.read())
        return web.Response(body=reply, content_type="application/octet-stream")

    app = web.Application()
    app.add_routes([web.post("/statefun", serve)])
    web.run_app(app, host="127.0.0.1", port=port, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "playground")
