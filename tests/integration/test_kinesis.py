"""From stream to stream on a server that speaks Kinesis' protocol: order, crashes, shards that split and merge."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.integration.applications import documents, endpoint, kinesis_egress, kinesis_ingress
from tests.support.http.faulty_process import FaultyProcess
from tests.support.kinesis.records import packed
from tests.support.kinesis.server import KinesisServer, StreamRecord
from tests.support.processes import wait_until
from tests.support.provisions import ROOT
from tests.support.sockets import http_get
from tests.support.worker import Worker

pytestmark = pytest.mark.integration

Workers = Callable[..., Worker]
KEYS = [f"key{n}" for n in range(8)]


def _module(server: KinesisServer, served: FaultyProcess, stream: str, **settings: str) -> str:
    return documents(
        endpoint(served.url, "t/*"),
        kinesis_ingress(server, "lines", {stream: ["echo"]}, **settings),  # type: ignore[arg-type]
        kinesis_egress(server),
    )


def _lines(out: str, texts: Iterable[object]) -> list[tuple[str, bytes]]:
    return [(key, f"{out}|{text}".encode()) for text in texts for key in KEYS]


def _of_key(records: Iterable[StreamRecord], key: str) -> list[str]:
    return [record.value.decode() for record in records if record.partition_key == key]


def _echoes(count: int) -> list[str]:
    return [f"echo {n} {n + 1}" for n in range(count)]


def test_records_of_one_key_are_processed_in_order_and_once(
    kinesis: KinesisServer, worker: Workers, kinesis_functions: FaultyProcess
) -> None:
    stream, out = kinesis.unique_stream("in", 3), kinesis.unique_stream("out", 2)
    kinesis.put(stream, _lines(out, range(20)))
    running = worker(_module(kinesis, kinesis_functions, stream))

    records = kinesis.consume(out, 20 * len(KEYS))

    for key in KEYS:
        assert _of_key(records, key) == _echoes(20)
    assert running.metrics().total("statefun_ingress_records_total") == 20 * len(KEYS)
    assert f"Kinesis {kinesis.url}, eu-west-1, streams {stream}" in running.output()
    running.stop_cleanly()


def test_after_kill_9_nothing_is_lost_and_each_record_counts_once(
    kinesis: KinesisServer, worker: Workers, functions: Callable[..., FaultyProcess]
) -> None:
    served = functions("tests.integration.scripted:kinesis", plan="every7*slow:0.05")
    stream, out = kinesis.unique_stream("in", 2), kinesis.unique_stream("out", 2)
    running = worker(_module(kinesis, served, stream), arguments=["--checkpoint-interval", "100ms"])
    for part in range(4):
        kinesis.put(stream, _lines(out, range(part * 10, part * 10 + 10)))
        wanted = part * 10 * len(KEYS) + 20
        wait_until(lambda wanted=wanted: len(kinesis.read_all(out)) >= wanted, "the first of them")
        running.kill9()
        running.start()

    def everything() -> bool:
        records = kinesis.read_all(out)
        return all(len(set(_of_key(records, key))) >= 40 for key in KEYS)

    wait_until(everything, "all records")
    records = kinesis.read_all(out)
    for key in KEYS:
        # Records may have left twice, but never others than these, and in their order at first.
        assert list(dict.fromkeys(_of_key(records, key))) == _echoes(40)


def test_clean_stops_lose_and_double_nothing(
    kinesis: KinesisServer, worker: Workers, kinesis_functions: FaultyProcess
) -> None:
    stream, out = kinesis.unique_stream("in", 2), kinesis.unique_stream("out", 2)
    running = worker(_module(kinesis, kinesis_functions, stream))
    for part in range(3):
        kinesis.put(stream, _lines(out, range(part * 5, part * 5 + 5)))
        wanted = part * 5 * len(KEYS) + 10
        wait_until(lambda wanted=wanted: len(kinesis.read_all(out)) >= wanted, "the first of them")
        running.restart()
    kinesis.consume(out, 15 * len(KEYS))
    running.restart()
    running.stop_cleanly()

    records = kinesis.read_all(out)
    for key in KEYS:
        assert _of_key(records, key) == _echoes(15)


def test_shards_that_split_and_merge_are_followed_in_order(
    kinesis: KinesisServer, worker: Workers, kinesis_functions: FaultyProcess
) -> None:
    stream, out = kinesis.unique_stream("in", 2), kinesis.unique_stream("out")
    running = worker(_module(kinesis, kinesis_functions, stream))
    kinesis.put(stream, _lines(out, range(5)))
    kinesis.split(stream, "shardId-000000000000")
    kinesis.put(stream, _lines(out, range(5, 10)))
    kinesis.consume(out, 10 * len(KEYS))
    running.stop_cleanly()
    # While it is away a shard is split, and one of its children merged with a neighbour: ends within ends.
    kinesis.split(stream, "shardId-000000000001")
    kinesis.put(stream, _lines(out, range(10, 15)))
    kinesis.merge(stream, "shardId-000000000003", "shardId-000000000004")
    kinesis.put(stream, _lines(out, range(15, 20)))
    running.start()
    running.process.wait_for_line("shardId-000000000004 is read to its end")
    kinesis.put(stream, _lines(out, range(20, 25)))

    records = kinesis.consume(out, 25 * len(KEYS))
    running.restart()
    running.stop_cleanly()

    assert len(kinesis.read_all(out)) == 25 * len(KEYS)
    for key in KEYS:
        assert _of_key(records, key) == _echoes(25)


def test_what_the_producer_library_packed_is_taken_apart(
    kinesis: KinesisServer, worker: Workers, kinesis_functions: FaultyProcess
) -> None:
    stream, out = kinesis.unique_stream("in"), kinesis.unique_stream("out")
    kinesis.put(stream, [("packed", packed(_lines(out, range(3))))])
    worker(_module(kinesis, kinesis_functions, stream))

    records = kinesis.consume(out, 3 * len(KEYS))

    for key in KEYS:
        assert _of_key(records, key) == _echoes(3)


def test_latest_is_where_the_first_start_was(
    kinesis: KinesisServer, worker: Workers, kinesis_functions: FaultyProcess
) -> None:
    stream, out = kinesis.unique_stream("in", 2), kinesis.unique_stream("out")
    kinesis.put(stream, _lines(out, ["old"]))
    running = worker(_module(kinesis, kinesis_functions, stream, startup="type: latest"))
    running.process.wait_for_line("ingress t/lines reads 2 shards")
    running.process.wait_for(
        lambda: running.metrics().total("statefun_checkpoints_completed_total"), "a checkpoint"
    )
    running.kill9()
    kinesis.put(stream, _lines(out, range(2)))
    running.start()

    records = kinesis.consume(out, 2 * len(KEYS))

    for key in KEYS:
        assert _of_key(records, key) == _echoes(2)


def test_a_server_that_does_not_answer_for_a_while_costs_nothing(
    kinesis: KinesisServer, worker: Workers, kinesis_functions: FaultyProcess
) -> None:
    stream, out = kinesis.unique_stream("in"), kinesis.unique_stream("out")
    module = _module(kinesis, kinesis_functions, stream).replace(
        "  clientConfigProperties:\n", "  clientConfigProperties:\n    - SocketTimeout: 300\n"
    )
    running = worker(module)
    kinesis.put(stream, _lines(out, range(3)))
    kinesis.consume(out, 3 * len(KEYS))
    kinesis.pause()
    try:
        for waits in (
            "ingress t/lines has had no answer of Kinesis .* nothing is read",
            "egress t/records has had no answer of Kinesis .*: 0 records wait to leave",
        ):
            running.process.wait_for_line(waits, timeout_s=10)
        assert running.metrics().total("statefun_ingress_connected") == 0
        assert not running.is_ready()
    finally:
        kinesis.resume()
    kinesis.put(stream, _lines(out, range(3, 6)))

    records = kinesis.consume(out, 6 * len(KEYS))
    for role in ("ingress t/lines", "egress t/records"):
        running.process.wait_for_line(f"{role} reaches Kinesis again, after ")
    assert running.metrics().total("statefun_ingress_connected") == 1
    running.stop_cleanly()

    for key in KEYS:
        assert _of_key(records, key) == _echoes(6)
    assert "Unclosed" not in running.output()


def test_a_shard_that_vanished_waits_alone_until_a_person_says_where_to_go_on(
    kinesis: KinesisServer, worker: Workers, kinesis_functions: FaultyProcess
) -> None:
    stream, out = kinesis.unique_stream("in", 2), kinesis.unique_stream("out")
    running = worker(_module(kinesis, kinesis_functions, stream))
    kinesis.put(stream, [("k", f"{out}|0".encode())], shard=0)
    kinesis.put(stream, [("other", f"{out}|0".encode())], shard=1)
    kinesis.consume(out, 2)
    running.stop_cleanly()
    kinesis.client.delete_stream(StreamName=stream)
    kinesis.create_stream(stream)

    running.start()

    running.process.wait_for_line(
        f"SF3090: ingress 't/lines' cannot go on at stream {stream}, shardId-000000000001, sequence number .*: "
        "the stream does not have this shard any more; it waits there, and the others go on; hint: to go on without "
        f"what is lost, start with --restart-topic {stream}, or with {stream}=latest to skip"
    )
    # The other shard is read: the server's numbers go on from where they were.
    kinesis.put(stream, [("k", f"{out}|{n}".encode()) for n in range(3)])
    assert _of_key(kinesis.consume(out, 3), "k")[1].endswith(" 2")
    assert running.metrics().total("statefun_ingress_lost_splits") == 1
    status = [sys.executable, "-m", "statefun_runtime.cli", "status", "--state-dir"]
    assert b"lost splits 1" in subprocess.check_output([*status, running.state_dir], cwd=ROOT)
    waits = "ingress 't/lines' has 1 shards whose position is lost [SF3090]"
    answer = http_get(f"http://127.0.0.1:{running.metrics_port}/readyz")
    assert answer is not None
    assert json.loads(answer[1]) == {"ready": True, "reasons": [], "waits": [waits]}
    running.restart()
    assert "Traceback" not in running.output()

    running.stop_cleanly()
    running.arguments = ["--restart-topic", stream]
    running.start()
    running.process.wait_for_line(
        f"goes on at stream {stream}, shardId-000000000001, which has nothing more, as --restart-topic says"
    )
    assert running.metrics().total("statefun_ingress_lost_splits") == 0
    running.stop_cleanly()
    assert "Unclosed" not in running.output()


def test_a_region_that_is_nowhere_ends_the_worker_before_it_begins(
    kinesis: KinesisServer, tmp_path: Path
) -> None:
    module = documents(
        endpoint("http://127.0.0.1:1/", "t/*"),
        kinesis_ingress(kinesis, "lines", {"s": ["echo"]}),
        "kind: io.statefun.kinesis.v1/egress\nspec:\n  id: t/records\n",
    )
    nothing = {"AWS_CONFIG_FILE": "none", "AWS_REGION": "", "AWS_DEFAULT_REGION": ""}
    running = Worker(module, tmp_path, env=nothing).start(is_ready_awaited=False)
    assert wait_until(lambda: running.process.exit_status, "the end of the worker") == 2
    assert "SF1091: egress 't/records': its awsRegion is the default one" in running.output()
    assert "Traceback" not in running.output()


def test_a_record_that_no_function_can_take_is_forwarded_to_a_stream(
    kinesis: KinesisServer, worker: Workers, kinesis_functions: FaultyProcess
) -> None:
    stream, letters = kinesis.unique_stream("in"), kinesis.unique_stream("letters")
    module = documents(
        endpoint(kinesis_functions.url, "t/served"),
        kinesis_ingress(kinesis, "lines", {stream: ["unserved"]}, unserved=["unserved"])
        + "  invalidRecordHandling: forward\n"
        + f"  deadLetters: {{egress: t/records, topic: {letters}}}\n",
        kinesis_egress(kinesis),
    )
    kinesis.put(stream, [("k", b"value")])
    running = worker(module)

    (letter,) = kinesis.consume(letters, 1)

    found = json.loads(letter.value)
    assert letter.partition_key == "k"
    assert found["target"] == {"type": "t/unserved", "id": "k"}
    assert found["record"]["split"] == f"{stream}/shardId-000000000000"
    running.stop_cleanly()


def test_validate_tries_whether_the_streams_are_there(
    kinesis: KinesisServer, tmp_path: Path, kinesis_functions: FaultyProcess
) -> None:
    stream = kinesis.unique_stream("in", 3)
    file = tmp_path / "module.yaml"
    file.write_text(_module(kinesis, kinesis_functions, stream))
    assert _validated(file) == (
        0,
        f"good    ingress t/lines at Kinesis: {stream} has 3 open shards",
        "good    egress t/records at Kinesis: answers",
    )
    file.write_text(file.read_text().replace(f"stream: {stream}", "stream: elsewhere"))
    assert _validated(file)[1] == (
        "failed  ingress t/lines at Kinesis: stream elsewhere does not exist"
    )


def _validated(file: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "statefun_runtime.cli", "validate", "--connect", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    told = [line for line in (done.stdout + done.stderr).splitlines() if "at Kinesis: " in line]
    assert len(told) == 2, done.stdout + done.stderr
    return done.returncode, told[0], told[1]
