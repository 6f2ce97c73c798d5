"""The greeter of the StateFun README: who is greeted again is told how often they were seen."""

from statefun import Context, IntType, Message, StatefulFunctions, ValueSpec, kafka_egress_message

functions = StatefulFunctions()


@functions.bind("example/greeter", specs=[ValueSpec("seen", IntType)])
async def greet(context: Context, message: Message) -> None:
    """Count how often a name was seen, and greet it."""
    seen = context.storage.seen = (context.storage.seen or 0) + 1
    name = context.address.id
    text = f"Hello {name}!" if seen == 1 else f"Hello again {name}! You were seen {seen} times."
    context.send_egress(
        kafka_egress_message(typename="example/greets", topic="greetings", key=name, value=text)
    )
