"""How large a worker has to be."""

import pytest

from statefun_runtime.core.moving.sizing import (
    Load,
    cores,
    cost_us,
    disk_bytes,
    memory_bytes,
    recommendations,
)


@pytest.mark.parametrize(
    ("active", "cost"), [(0, 8.0), (10, 8.0), (1000, 9.0), (10_000, 27.0), (1e5, 45.0), (1e7, 45.0)]
)
def test_a_message_costs_more_the_more_addresses_have_work(active: float, cost: float):
    assert cost_us(active) == pytest.approx(cost)


def test_cores_are_enough_at_twice_the_load():
    assert cores(Load(messages_per_s=1000, active=1000)) == pytest.approx(0.0257, rel=0.01)
    # Nobody knows how many addresses: each message may be of another one.
    assert cores(Load(messages_per_s=100_000)) == pytest.approx(12.86, rel=0.01)


def test_memory_grows_with_addresses_and_the_cache_does_not():
    bare = memory_bytes(Load(addresses=0))
    assert bare == 90e6
    many = memory_bytes(Load(addresses=2e6, state_bytes=2e8))
    more = memory_bytes(Load(addresses=3e6, state_bytes=3e8))
    assert more - many == pytest.approx(1e6 * 150 * 1.5)


def test_disk_holds_the_state_three_times():
    assert disk_bytes(Load(state_bytes=10e9)) == 31e9


def test_what_is_not_known_is_not_recommended():
    assert list(recommendations(Load())) == []
    assert [what for what, _ in recommendations(Load(state_bytes=1e9))] == ["disk"]


def test_more_than_a_core_is_told():
    found = dict(recommendations(Load(messages_per_s=50_000, active=100_000)))
    assert found["cores"] == (
        "6.43 at twice 50,000 messages/s: a worker has one, so divide the module by function types, or give it 7 "
        "workers where there are several"
    )
    assert "pipeline.max-parallelism=224" in found["partitions"]
