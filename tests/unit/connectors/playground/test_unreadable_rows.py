"""HTTP ingress and egress while rows cannot be read: nothing is taken for new, nothing read is lost."""

import json

from statefun_runtime.connectors.playground.reader import PlaygroundIngress
from statefun_runtime.connectors.playground.writer import PlaygroundEgress
from tests.fakes.ingress import RecordingIngressContext
from tests.fakes.rows import DictRows
from tests.unit.connectors.playground.test_playground import (
    Client,
    egress,
    with_egress,
    with_ingress,
)


def test_a_key_that_cannot_be_looked_up_is_answered_with_later():
    async def body(client: Client, router: RecordingIngressContext, _: PlaygroundIngress) -> None:
        router.blind_looks = 1
        status, text, headers = await client.ask("PUT", "/t/f/a", b"1", "Idempotency-Key: k")
        assert (status, headers["Retry-After"]) == (503, "1")
        assert text == "the live state cannot be read\n"
        assert router.delivered == []

    with_ingress(body)


def test_a_record_that_is_in_the_log_waits_until_its_key_can_be_looked_up():
    async def body(
        client: Client, router: RecordingIngressContext, ingress: PlaygroundIngress
    ) -> None:
        look, looks = router.look, 0

        def blind_where_it_counts(*asked: object) -> object:
            nonlocal looks
            looks += 1
            router.blind_looks = int(looks in (2, 3))
            return look(*asked)  # type: ignore[arg-type]

        router.look = blind_where_it_counts  # type: ignore[method-assign, assignment]
        assert (await client.ask("PUT", "/t/f/a", b"1", "Idempotency-Key: k"))[0] == 200
        assert looks == 4
        assert len(router.delivered) == 1
        assert ingress.positions() == {"log": 1}

        status, _, headers = await client.ask("PUT", "/t/f/a", b"1", "Idempotency-Key: k")
        assert (status, headers["Idempotent-Replay"]) == (200, "true")
        assert ingress.positions() == {"log": 1}

    with_ingress(body)


def test_a_payload_that_cannot_be_read_stays_where_it_is():
    rows = DictRows()

    async def body(client: Client, sink: PlaygroundEgress) -> None:
        sink.outbox.collect(("out", b"1"))
        sink.outbox.collect(("kept", b"2"))
        sink.outbox.cut(1)
        sink.outbox.completed(1)
        rows.is_away = True
        for path in ("/out", "/kept?after="):
            status, text, headers = await client.ask("GET", path)
            assert (status, headers["Status"], headers["Retry-After"]) == (503, "503", "1")
            assert text == "the rows cannot be read\n"

        rows.is_away = False
        assert (await client.ask("GET", "/out"))[1] == "1"
        assert json.loads((await client.ask("GET", "/kept?after="))[1])["records"] == ["2"]

    with_egress(egress(rows), body)


def test_what_is_given_up_or_acknowledged_is_not_read():
    rows = DictRows()
    saved: list[int] = []

    async def now() -> None:
        saved.append(len(rows.rows))

    async def body(client: Client, sink: PlaygroundEgress) -> None:
        sink.outbox.collect(("kept", b"1"))
        sink.outbox.cut(1)
        sink.outbox.completed(1)
        cursor = json.loads((await client.ask("GET", "/kept?after="))[1])["next"]
        rows.is_away = True
        assert (await client.ask("DELETE", f"/kept?upto={cursor}"))[0] == 200
        assert saved == [0]

    with_egress(egress(rows, saved=now), body)
