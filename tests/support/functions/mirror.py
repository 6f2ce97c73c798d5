"""A function that sends each record back as it came: headers, time, and where it lay."""

from statefun import Context, Message, RequestReplyHandler, StatefulFunctions, kafka_egress_message

functions = StatefulFunctions()


@functions.bind("t/mirror")
async def mirror(context: Context, message: Message) -> None:
    """The value is the topic to send to."""
    record = context.record_metadata
    topic = (message.raw_value() or b"").decode()
    if record is None:
        context.send_egress(kafka_egress_message("t/records", topic, "no metadata", key="k"))
        return
    place = f"{record.topic}/{record.partition}/{record.offset}"
    context.send_egress(
        kafka_egress_message(
            "t/records",
            topic,
            place,
            key="k",
            headers=[*record.headers, ("mirrored", "yes")],
            timestamp_ms=record.timestamp_ms,
            partition=2,
        )
    )


handler = RequestReplyHandler(functions).handle_async
