"""The parts of the benchmarks that compute something."""

import os

from tests.bench.bench import Round, table
from tests.bench.load import CountCheck, steady_per_s
from tests.bench.yardstick import filled
from tests.support.meter import Usage, core_shares, process_tree


def round_(**changes: object) -> Round:
    values: dict[str, object] = {
        "addresses": 1000,
        "round": 1,
        "messages": 10,
        "received": 10,
        "first_s": 0.1,
        "per_s": 1234,
        "steady_per_s": 1300.0,
        "cpu_us": {"worker": 10.0, "function": 5.0, "driver": 2.0},
        "shares": {},
        "batch_mean": 1.5,
        "worker_memory": {"rss_mb": 50.0, "peak_mb": 60.0},
        "saturated": "nothing",
        "wrong_keys": 0,
    }
    return Round(**(values | changes))  # type: ignore[arg-type]


def test_every_key_counts_from_one_without_hole_or_double():
    check = CountCheck()
    check.add([(b"right", b"1;a"), (b"hole", b"1;a"), (b"double", b"1;a"), (b"late", b"2;a")])
    check.add([(b"right", b"2;b"), (b"hole", b"3;b"), (b"double", b"1;a"), (b"late", b"3;b")])

    assert check.wrong_keys() == [b"hole", b"double", b"late"]


def test_the_steady_rate_leaves_out_the_first_tenth():
    assert steady_per_s([(2.0, 10), (3.0, 55), (4.0, 100)]) == 45
    assert steady_per_s([(1.0, 100)]) == 0.0
    assert steady_per_s([]) == 0.0


def test_usage_is_per_message_and_names_what_is_full():
    usage = Usage(2.0, {"worker": 1.9, "broker": 0.5}, {0: 0.96, 1: 0.4})

    assert usage.cpu_us_per(100_000) == {"worker": 19.0, "broker": 5.0}
    assert usage.cpu_shares() == {"worker": 0.95, "broker": 0.25}
    assert usage.saturated({0: "worker", 1: "the rest"}) == "worker (core 0, 96%)"
    assert usage.saturated({1: "the rest"}) == "nothing"


def test_the_share_of_a_core_is_of_the_time_between():
    assert core_shares({0: (100, 200)}, {0: (150, 300), 1: (5, 10)}) == {0: 0.5, 1: 0.5}
    assert core_shares({0: (100, 200)}, {0: (100, 200)}) == {0: 0.0}


def test_a_process_tree_leaves_out_the_trees_of_others():
    me, parent = os.getpid(), os.getppid()

    assert me in process_tree(parent)
    assert me not in process_tree(parent, without=frozenset([me]))


def test_the_table_has_the_median_of_the_rounds():
    rounds = [round_(per_s=1), round_(per_s=3_000), round_(per_s=2_000), round_(addresses=10)]

    head, thousand, ten = table(rounds).splitlines()

    assert head.split()[:2] == ["addresses", "messages/s"]
    assert thousand.split()[:7] == ["1,000", "2,000", "10.0", "5.0", "0.0", "2.0", "1.5"]
    assert ten.split()[0] == "10"


def test_one_wrong_round_shows_in_the_table():
    assert "WRONG" in table([round_(), round_(wrong_keys=1)])
    assert "WRONG" in table([round_(), round_(received=9)])


def test_the_yardsticks_template_is_filled_whole():
    template = "@FN@ 127.0.0.1:@KPORT@ @RUN@ @TRANSPORT@ @SEM@\n@TXT@\n@BATCH@"

    module = filled(
        template, function_port=1, bootstrap="127.0.0.1:9092", run="r", delivery="exactly-once"
    )

    assert module == "1 127.0.0.1:9092 r async exactly-once\n    transactionTimeout: 15min\n"
