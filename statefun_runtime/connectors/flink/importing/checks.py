"""What the rows of a savepoint say about each other: canonical files have no checksums, so this is what shows damage."""

from collections import Counter
from collections.abc import Iterator

from statefun_runtime.connectors.flink.files.damage import Damage
from statefun_runtime.connectors.flink.importing.sorting import AddressRows, Place, SenderRows
from statefun_runtime.core.model.messages import split_fields
from statefun_runtime.core.printable import ID_MAX, printable


def count_invocations(invocations: bytes) -> int:
    """Return how many there are behind each other."""
    return sum(1 for _ in split_fields(invocations))


def address_damages(rows: AddressRows) -> Iterator[Damage]:
    """Yield what does not fit: a call in flight, the queue behind it, and how long StateFun says that this is."""
    if rows.calls or rows.queue or rows.requests:
        yield from _request_damages(rows)
    values = {name: content for name, _, content in rows.values}
    for place, _, state, _ in rows.calls:
        for name, sent in state.items():
            if values.get(name, sent) != sent:
                what = (
                    f"the call in flight of {_name(rows)} was sent another value of state {name!r}"
                )
                yield _damage(place, what, "one of the two values")


def _request_damages(rows: AddressRows) -> Iterator[Damage]:
    queued = count_invocations(rows.queue[1]) if rows.queue else 0
    wanted = rows.requests[1] if rows.requests else 0
    if rows.requests is not None and wanted != queued:
        what = f"{_name(rows)} has {queued} queued messages, and its request state says {wanted}"
        yield _damage(rows.requests[0], what, "nobody knows which")
    if rows.requests is not None and not rows.calls:
        what = f"{_name(rows)} waits for a reply, and no call of it is in flight"
        yield _damage(rows.requests[0], what, "the messages of that call")
    if rows.requests is None:
        place = rows.calls[0][0] if rows.calls else rows.queue[0] if rows.queue else ("", 0)
        yield _damage(place, f"{_name(rows)} has messages, and no request state", "that state")
    for place, *_ in rows.calls[1:]:
        yield _damage(place, f"{_name(rows)} has more than one call in flight", "their order")


def _name(rows: AddressRows) -> str:
    return f"{rows.type}/{printable(rows.id, ID_MAX)}"


def _damage(place: Place, what: str, lost: str) -> Damage:
    return Damage(place[0], place[1], what, lost)


def tokens_that_count(rows: SenderRows) -> list[str]:
    """Return the token of each message that can be cancelled with it; "" of one that damage has made another's."""
    free = {token: due_ms for _, token, due_ms in rows.tokens}
    return [
        token if token and free.get(token) == due_ms and free.pop(token) == due_ms else ""
        for _, due_ms, _, _, token, _ in rows.messages
    ]


def sender_damages(rows: SenderRows) -> Iterator[Damage]:
    """Yield what does not fit: delayed messages, the alarms that bring them out, and the tokens that undo them."""
    sender = printable(rows.id, ID_MAX)
    due_times = {due_ms for _, due_ms, *_ in rows.messages}
    alarms = {due_ms for _, due_ms in rows.alarms}
    for place, due_ms in rows.alarms:
        if due_ms not in due_times:
            what = f"{sender!r} has an alarm at {due_ms}, and no message is due then"
            yield _damage(place, what, "that message")
    yield from _token_damages(rows, sender)
    for place, due_ms, *_ in rows.messages:
        if due_ms not in alarms:
            what = f"a message of {sender!r} is due at {due_ms}, and there is no alarm for it"
            yield _damage(place, what, "the alarm")


def _token_damages(rows: SenderRows, sender: str) -> Iterator[Damage]:
    there = Counter((token, due_ms) for _, due_ms, _, _, token, _ in rows.messages if token)
    due_of = {token: due_ms for _, token, due_ms in rows.tokens}
    for place, token, due_ms in rows.tokens:
        if there[token, due_ms] != 1:
            what = f"token {printable(token)!r} of {sender!r} is for {due_ms}, and {there[token, due_ms]} messages have it"
            yield _damage(place, what, "what it cancels")
    for place, due_ms, _, _, token, _ in rows.messages:
        if token and due_of.get(token) != due_ms:
            what = f"a message of {sender!r} has token {printable(token)!r}, which is not for it"
            yield _damage(place, what, "that it can be cancelled")
