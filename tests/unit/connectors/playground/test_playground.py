"""The HTTP ingress and egress, request by request."""

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from statefun._wire import ToFunction, TypedValue

from statefun_runtime.adapters.off_loop import in_a_thread
from statefun_runtime.connectors.playground.ingress_log import IngressLog, first_kept
from statefun_runtime.connectors.playground.reader import PlaygroundIngress
from statefun_runtime.connectors.playground.specs import PlaygroundEgressSpec, PlaygroundIngressSpec
from statefun_runtime.connectors.playground.writer import RECORD_TYPENAME, PlaygroundEgress
from statefun_runtime.core.model.metrics import Metric
from statefun_runtime.core.module.specs import EndpointSpec, FunctionPattern
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.egress import RecordRefused
from statefun_runtime.ports.module import ModuleSpec
from tests.fakes.ingress import RecordingIngressContext
from tests.fakes.rows import DictRows

MODULE = ModuleSpec((EndpointSpec(FunctionPattern("t", None), "http://x/"),), (), ())


class Client:
    """Talks to a port; one connection for all requests."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._streams is not None:
            self._streams[1].close()
            with suppress(OSError):
                await self._streams[1].wait_closed()

    async def ask(
        self, method: str, path: str, body: bytes = b"", *headers: str
    ) -> tuple[int, str, dict[str, str]]:
        """Return status, body, and headers."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        status, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        found = dict(line.split(": ", 1) for line in rest)
        content = await reader.readexactly(int(found["Content-Length"]))
        if found["Connection"] == "close":
            self._streams = None
            writer.close()
        return int(status.split()[1]), content.decode(), found


def with_ingress(
    body: Callable[[Client, RecordingIngressContext, PlaygroundIngress], Awaitable[None]],
    *,
    is_running: bool = True,
    folder: Path | None = None,
) -> None:
    async def main() -> None:
        router = RecordingIngressContext(MODULE)
        with tempfile.TemporaryDirectory() as own:
            await serve(router, new_ingress(router, folder or Path(own)))

    async def serve(router: RecordingIngressContext, ingress: PlaygroundIngress) -> None:
        await ingress.start()
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            task = tasks.create_task(ingress.run() if is_running else asyncio.sleep(0))
            await asyncio.sleep(0)
            async with Client(ingress.port) as client:
                await body(client, router, ingress)
            task.cancel()
        await ingress.close()

    asyncio.run(main())


def new_ingress(
    router: RecordingIngressContext, folder: Path, position: int = 0
) -> PlaygroundIngress:
    return PlaygroundIngress(
        PlaygroundIngressSpec(),
        router,
        # Every batch of records has a file of its own.
        IngressLog(folder, segment_bytes=1),
        in_a_thread,
        {"log": position},
        host="127.0.0.1",
        body_bytes_max=1000,
    )


def argument(invocation: bytes) -> TypedValue:
    batch = ToFunction.InvocationBatchRequest.FromString(invocation)
    assert not batch.invocations[0].HasField("caller")
    return batch.invocations[0].argument


def counts(metrics: list[Metric]) -> dict[str, object]:
    return {metric.labels.get("reason", metric.name): metric.value for metric in metrics}


def test_a_message_goes_to_the_address_in_the_path_with_its_type():
    async def body(
        client: Client, router: RecordingIngressContext, ingress: PlaygroundIngress
    ) -> None:
        status, text, headers = await client.ask(
            "PUT", "/t/greeter/Bob", b'{"a": 1}', "Content-Type: application/vnd.t/Request"
        )

        assert (status, text, headers["Status"]) == (200, "", "200")
        ((name, function_id, invocation),) = router.delivered
        assert (name, function_id) == ("t/greeter", "Bob")
        value = argument(invocation)
        assert (value.typename, value.has_value, value.value) == ("t/Request", True, b'{"a": 1}')
        assert counts(list(ingress.metrics())) == {"statefun_ingress_records": 1}

    with_ingress(body)


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH"])
@pytest.mark.parametrize("headers", [(), ("Content-Type: text/plain",), ("Content-Type: a/b",)])
def test_what_has_no_type_is_wrapped_as_text(method: str, headers: tuple[str, ...]):
    async def body(client: Client, router: RecordingIngressContext, _: PlaygroundIngress) -> None:
        await client.ask(method, "/t/greeter/Bob", "héllo".encode(), *headers)
        await client.ask(method, "/t/greeter/Bob", b"", *headers)

        full, empty = (argument(invocation) for _, _, invocation in router.delivered)
        assert full.typename == empty.typename == "io.statefun.types/string"
        assert full.value == b"\x0a\x06" + "héllo".encode()
        assert empty.value == b""

    with_ingress(body)


def test_parameters_of_a_type_are_not_part_of_it():
    async def body(client: Client, router: RecordingIngressContext, _: PlaygroundIngress) -> None:
        kind = "Content-Type: application/vnd.t/Request; charset=utf-8"
        await client.ask("PUT", "/t/greeter/Bob", b"x", kind)

        assert argument(router.delivered[0][2]).typename == "t/Request"

    with_ingress(body)


def test_an_id_may_hold_anything_that_is_encoded():
    async def body(client: Client, router: RecordingIngressContext, _: PlaygroundIngress) -> None:
        for path in ("/t/f/a%2Fb", "/t/f/%C3%A9%20", "/t/f/%FF", "/t/f/a?query"):
            assert (await client.ask("PUT", path))[0] == 200

        assert [found for _, found, _ in router.delivered] == ["a/b", "é ", "\ufffd", "a"]

    with_ingress(body)


def test_the_log_is_kept_from_the_first_position_that_anybody_may_go_back_to(tmp_path: Path):
    async def body(client: Client, _: RecordingIngressContext, ingress: PlaygroundIngress) -> None:
        for _ in range(5):
            await client.ask("PUT", "/t/f/a", b"x")
        assert first_kept(tmp_path) == 0
        # The lineage was left and gone on with at an older checkpoint: the last one is not the farthest.
        ingress.needed([{"log": 4}, {"log": 5}, {"log": 2}])
        await client.ask("PUT", "/t/f/a", b"x")
        assert first_kept(tmp_path) == 2
        ingress.needed([{}, {"log": 5}])
        await client.ask("PUT", "/t/f/a", b"x")
        assert first_kept(tmp_path) == 2

    with_ingress(body, folder=tmp_path)


REFUSALS = {
    ("PUT", "/t/f"): (400, "bad-path", "the path must be /namespace/name/id, found '/t/f'"),
    ("PUT", "/t/f/a/b"): (400, "bad-path", "the path must be /namespace/name/id, found '/t/f/a/b'"),
    ("PUT", "/"): (400, "bad-path", "the path must be /namespace/name/id, found '/'"),
    ("PUT", "//f/a"): (400, "bad-path", "the path must be /namespace/name/id, found '//f/a'"),
    ("PUT", "/t/f/"): (400, "empty-id", "the id in /namespace/name/id is empty"),
    ("GET", "/t/f/a"): (405, "bad-method", "a message is PUT, found GET"),
    ("PUT", "/x/f/a"): (
        404,
        "unknown-function",
        "no endpoint of the module serves function type 'x/f'",
    ),
}


@pytest.mark.parametrize("asked", REFUSALS)
def test_what_is_refused_is_counted_and_told_why(asked: tuple[str, str]):
    expected, reason, words = REFUSALS[asked]

    async def body(
        client: Client, router: RecordingIngressContext, ingress: PlaygroundIngress
    ) -> None:
        status, text, headers = await client.ask(*asked)

        assert (status, text, headers["Status"]) == (expected, f"{words}\n", str(expected))
        assert router.delivered == []
        assert counts(list(ingress.metrics())) == {"statefun_ingress_records": 0, reason: 1}
        assert (await client.ask("PUT", "/t/f/a"))[0] == 200

    with_ingress(body)


def test_text_that_is_no_text_is_refused():
    async def body(
        client: Client, router: RecordingIngressContext, ingress: PlaygroundIngress
    ) -> None:
        status, text, _ = await client.ask("PUT", "/t/f/a", b"\xff")

        assert (status, text) == (400, "a body without a type is text, and must be UTF-8\n")
        assert counts(list(ingress.metrics()))["bad-text"] == 1
        assert router.delivered == []

    with_ingress(body)


def test_a_worker_that_has_too_much_to_do_says_when_to_come_again():
    async def body(
        client: Client, router: RecordingIngressContext, ingress: PlaygroundIngress
    ) -> None:
        router.close_gate()
        status, text, headers = await client.ask("PUT", "/t/f/a")
        assert (status, text) == (503, "the worker has too much to do\n")
        assert headers["Retry-After"] == "1"

        router.open_gate()
        router.tight_for.add("hot")
        assert (await client.ask("PUT", "/t/f/hot"))[0] == 503
        assert (await client.ask("PUT", "/t/f/cold"))[0] == 200
        assert counts(list(ingress.metrics()))["busy"] == 2

    with_ingress(body)


def test_before_it_runs_a_request_waits_and_afterwards_it_is_turned_away():
    async def main(folder: Path) -> None:
        router = RecordingIngressContext(MODULE)
        ingress = new_ingress(router, folder)
        await ingress.start()
        async with Client(ingress.port) as client:
            async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
                asked = tasks.create_task(client.ask("PUT", "/t/f/a", b"x"))
                for _ in range(20):
                    await asyncio.sleep(0)
                assert router.delivered == []
                running = tasks.create_task(ingress.run())
                assert (await asked)[0] == 200
                running.cancel()
            assert (await client.ask("PUT", "/t/f/a", b"x"))[0] == 503
            assert len(router.delivered) == 1
            await ingress.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))


def test_a_body_that_is_too_large_is_refused():
    async def body(client: Client, router: RecordingIngressContext, _: PlaygroundIngress) -> None:
        assert (await client.ask("PUT", "/t/f/a", b"x" * 1000))[0] == 200
        assert (await client.ask("PUT", "/t/f/a", b"x" * 1001))[0] == 413
        assert len(router.delivered) == 1

    with_ingress(body)


# ── egress ──


async def nothing_to_save() -> None:
    raise AssertionError("nothing was acknowledged")


def egress(
    rows: DictRows | None = None,
    *,
    complete_epoch: int = 0,
    lineage: str = "line",
    saved: Callable[[], Awaitable[None]] = nothing_to_save,
    read_bytes_max: int = 1 << 20,
) -> PlaygroundEgress:
    spec = PlaygroundEgressSpec(0, ("out", "other", "kept"), frozenset({"kept"}))
    return PlaygroundEgress(
        spec,
        rows or DictRows(),
        host="127.0.0.1",
        origin=f"app-{lineage}",
        complete_epoch=complete_epoch,
        saved=saved,
        read_bytes_max=read_bytes_max,
    )


def record(topic: object = "out", payload: object = "hello", **more: object) -> bytes:
    return json.dumps({"topic": topic, "payload": payload, **more}).encode()


def test_payloads_are_read_once_and_in_order():
    async def main() -> None:
        sink = egress()
        await sink.listen()
        async with Client(sink.port) as client:
            for payload in ("1", "héllo"):
                sink.outbox.collect(sink.prepare(RECORD_TYPENAME, record(payload=payload)))

            first = await client.ask("GET", "/out")
            assert (first[0], first[1], first[2]["Status"]) == (200, "1", "200")
            assert (await client.ask("PUT", "/out"))[1] == "héllo"
            empty = await client.ask("GET", "/out")
            assert (empty[0], empty[1], empty[2]["Status"]) == (404, "", "404")
            await sink.close()

    asyncio.run(main())


def test_an_unknown_topic_is_told_from_an_empty_one():
    async def main() -> None:
        sink = egress()
        await sink.listen()
        async with Client(sink.port) as client:
            for path in ("/nothing", "/", "/out/more"):
                status, text, headers = await client.ask("GET", path)
                assert (status, headers["Status"]) == (404, "405")
                assert text == f"no such topic: {path} (there are: /out, /other, /kept)\n"
            await sink.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"no json", "a record must be JSON: "),
        (b"\xff", "a record must be JSON: "),
        (b"[" * 100_000, "a record must be JSON: "),
        (b"[]", "a record must be a JSON object with 'topic' and 'payload' only"),
        (record(more=1), "a record must be a JSON object with 'topic' and 'payload' only"),
        (b'{"topic": "out"}', "'topic' and 'payload' of a record must be text"),
        (record(payload=5), "'topic' and 'payload' of a record must be text"),
        (record(topic="nothing"), "topic 'nothing' is not declared (declared: out, other, kept)"),
    ],
)
def test_a_record_that_cannot_leave_is_refused(value: bytes, words: str):
    with pytest.raises(RecordRefused) as refused:
        egress().prepare(RECORD_TYPENAME, value)

    assert str(refused.value).startswith(words)


def test_text_that_utf_8_has_no_bytes_for_is_replaced():
    rows = DictRows()
    sink = egress(rows)
    sink.outbox.collect(sink.prepare(RECORD_TYPENAME, b'{"topic": "out", "payload": "a\\ud800"}'))

    assert list(rows.rows.values()) == [b"a?"]


def test_the_oldest_payloads_are_dropped_when_nobody_reads(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("statefun_runtime.connectors.playground.writer._QUEUE_MAX", 3)
    rows = DictRows()
    sink = egress(rows)
    for number in range(5):
        sink.outbox.collect(("out", b"%d" % number))

    assert list(rows.rows.values()) == [b"2", b"3", b"4"]
    assert {metric.name: metric.value for metric in sink.metrics()} == {
        "statefun_egress_records": 0,
        "statefun_egress_dropped": 2,
        "statefun_egress_waiting": 3,
    }


def with_egress(
    sink: PlaygroundEgress, body: Callable[[Client, PlaygroundEgress], Awaitable[None]]
) -> None:
    async def main() -> None:
        await sink.listen()
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            task = tasks.create_task(sink.run())
            async with Client(sink.port) as client:
                await body(client, sink)
            task.cancel()
        await sink.close()

    asyncio.run(main())


async def read(client: Client, cursor: str) -> tuple[list[str], str]:
    status, text, _ = await client.ask("GET", f"/kept?after={cursor}")
    assert status == 200, text
    content = json.loads(text)
    return content["records"], content["next"]


def test_a_reader_by_cursor_sees_only_what_a_complete_checkpoint_holds():
    async def body(client: Client, sink: PlaygroundEgress) -> None:
        sink.outbox.collect(("kept", b"1"))
        sink.outbox.cut(1)
        sink.outbox.collect(("kept", b"2"))
        assert await read(client, "") == ([], "")

        sink.outbox.completed(1)
        assert (await read(client, ""))[0] == ["1"]
        sink.outbox.cut(2)
        sink.outbox.completed(2)
        _, cursor = await read(client, "")
        assert (await read(client, ""))[0] == ["1", "2"]
        assert await read(client, cursor) == ([], cursor)

    with_egress(egress(), body)


def test_a_reader_that_comes_back_after_a_restart_goes_on_at_its_cursor():
    rows = DictRows()
    cursors: list[str] = []

    async def before(client: Client, sink: PlaygroundEgress) -> None:
        for epoch, value in enumerate((b"1", b"2"), 1):
            sink.outbox.collect(("kept", value))
            sink.outbox.cut(epoch)
            sink.outbox.completed(epoch)
            cursors.append((await read(client, ""))[1])

    async def after(client: Client, sink: PlaygroundEgress) -> None:
        assert (await read(client, cursors[0]))[0] == ["2"]
        assert (await read(client, cursors[1]))[0] == []

    with_egress(egress(rows), before)
    with_egress(egress(rows, complete_epoch=2), after)


def test_an_acknowledgement_is_answered_when_it_is_safe_and_deletes_what_was_read():
    rows = DictRows()
    asked: list[int] = []

    async def saved() -> None:
        asked.append(len(rows.rows))

    sink = egress(rows, saved=saved)

    async def body(client: Client, sink: PlaygroundEgress) -> None:
        for value in (b"1", b"2", b"3"):
            sink.outbox.collect(("kept", value))
        sink.outbox.cut(1)
        sink.outbox.completed(1)
        _, cursor = await read(client, "")
        sink.outbox.collect(("kept", b"4"))

        status, _, _ = await client.ask("DELETE", f"/kept?upto={cursor}")

        assert status == 200
        assert asked == [1]
        assert list(rows.rows.values()) == [b"4"]

    with_egress(sink, body)


def test_a_read_ends_at_its_limit_and_the_next_goes_on_there():
    async def body(client: Client, sink: PlaygroundEgress) -> None:
        for value in (b"long", b"1", b"2", b"3"):
            sink.outbox.collect(("kept", value))
        sink.outbox.cut(1)
        sink.outbox.completed(1)

        records, cursor = await read(client, "")
        assert records == ["long"]
        records, cursor = await read(client, cursor)
        assert records == ["1", "2"]
        assert await read(client, cursor) == (["3"], "app-line-1-3")

    with_egress(egress(read_bytes_max=2), body)


def test_a_cursor_of_another_lineage_is_told_so():
    async def body(client: Client, _: PlaygroundEgress) -> None:
        for method, query in (("GET", "after"), ("DELETE", "upto")):
            status, text, _ = await client.ask(method, f"/kept?{query}=app-line-1-0")
            assert status == 410
            assert text == (
                "cursor 'app-line-1-0' is of another application or lineage; begin anew with an empty one\n"
            )

    with_egress(egress(lineage="other"), body)


def test_a_topic_is_read_one_way_or_the_other():
    async def body(client: Client, sink: PlaygroundEgress) -> None:
        sink.outbox.collect(("kept", b"1"))
        status, text, _ = await client.ask("GET", "/kept")
        assert status == 400
        assert text == (
            "topic 'kept' is read with GET ?after=CURSOR (empty at first), "
            "acknowledged with DELETE ?upto=CURSOR\n"
        )

    with_egress(egress(), body)


def test_a_message_is_on_disk_before_it_is_routed_and_answered(tmp_path: Path):
    async def main() -> None:
        router = RecordingIngressContext(MODULE)
        ingress = new_ingress(router, tmp_path)
        await ingress.start()
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            task = tasks.create_task(ingress.run())
            await asyncio.sleep(0)
            async with Client(ingress.port) as client:
                for number in range(3):
                    status, _, _ = await client.ask("PUT", f"/t/f/{number}", b"x")
                    assert status == 200
                    assert IngressLog(tmp_path).end == number + 1 == ingress.positions()["log"]
                task.cancel()
        await ingress.close()

        again = RecordingIngressContext(MODULE)
        ingress = new_ingress(again, tmp_path, position=1)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(ingress.run())
            await again.arrived(2)
            task.cancel()
        assert again.delivered == router.delivered[1:]
        assert ingress.positions() == {"log": 3}

    asyncio.run(main())


def test_a_repeated_idempotency_key_takes_effect_once():
    async def body(
        client: Client, router: RecordingIngressContext, ingress: PlaygroundIngress
    ) -> None:
        async def put(path: str, value: bytes, key: str) -> tuple[int, str | None]:
            status, _, headers = await client.ask("PUT", path, value, f"Idempotency-Key: {key}")
            return status, headers.get("Idempotent-Replay")

        assert await put("/t/f/a", b"1", "k") == (200, None)
        assert await put("/t/f/a", b"1", "k") == (200, "true")
        assert await put("/t/f/a", b"2", "k") == (422, None)
        # A key belongs to its address.
        assert await put("/t/f/b", b"1", "k") == (200, None)
        assert await put("/t/f/a", b"1", "other") == (200, None)
        assert [function_id for _, function_id, _ in router.delivered] == ["a", "b", "a"]
        assert counts(list(ingress.metrics()))["repeated"] == 1
        assert counts(list(ingress.metrics()))["key-conflict"] == 1

    with_ingress(body)


def test_what_cannot_be_written_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def body(
        client: Client, router: RecordingIngressContext, ingress: PlaygroundIngress
    ) -> None:
        def fails(_: IngressLog, records: object) -> None:
            raise UnavailableError("no space left", code="SF3012")

        with monkeypatch.context() as patched:
            patched.setattr(IngressLog, "append", fails)
            status, text, headers = await client.ask("PUT", "/t/f/a", b"1")
        assert (status, text, headers["Retry-After"]) == (503, "no space left\n", "5")
        assert router.delivered == []

        assert (await client.ask("PUT", "/t/f/a", b"2"))[0] == 200
        assert len(router.delivered) == 1

    with_ingress(body)
