"""A slice of the simulation for every run of the tests; `make simulate` plays more."""

from pathlib import Path

import pytest

from tests.simulation.run import play

_SLICE = 200
_CHUNK = 25
_TEAM_SLICE, _TEAM_CHUNK = 48, 12
_CLUSTER_SLICE, _CLUSTER_CHUNK = 24, 12


def _found_bugs() -> list[int]:
    lines = Path(__file__).with_name("seeds.txt").read_text().splitlines()
    return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("first", range(0, _SLICE, _CHUNK))
def test_every_effect_happens_once_whatever_goes_wrong(first: int) -> None:
    failures = {
        seed: world.failures
        for seed in range(first, first + _CHUNK)
        if (world := play(seed)).failures
    }

    assert failures == {}


@pytest.mark.parametrize("first", range(0, _TEAM_SLICE, _TEAM_CHUNK))
def test_so_it_does_when_several_workers_share_the_work(first: int) -> None:
    failures = {
        seed: world.failures
        for seed in range(first, first + _TEAM_CHUNK)
        if (world := play(seed, workers=3)).failures
    }

    assert failures == {}


@pytest.mark.parametrize("first", range(0, _CLUSTER_SLICE, _CLUSTER_CHUNK))
def test_so_it_does_when_machines_come_and_go(first: int) -> None:
    failures = {
        seed: world.failures
        for seed in range(first, first + _CLUSTER_CHUNK)
        if (world := play(seed, cluster=3)).failures
    }

    assert failures == {}


@pytest.mark.parametrize("seed", _found_bugs())
def test_a_seed_that_found_a_bug_finds_it_no_more(seed: int) -> None:
    assert play(seed).failures == []


@pytest.mark.parametrize("seed", [3, 12])
def test_the_same_seed_has_the_same_trace(seed: int) -> None:
    first, second = play(seed), play(seed)

    assert first.trace_hash == second.trace_hash
    assert len(first.trace) > 20
    assert play(seed + 1).trace_hash != first.trace_hash
