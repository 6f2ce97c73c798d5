"""When a worker is ready, and what it says when it is not."""

import asyncio

from statefun_runtime.engine.readiness import Readiness
from statefun_runtime.engine.stop import Stop


class Saving:
    def __init__(self) -> None:
        self.trouble = ""
        self.age = 0.0

    def age_s(self) -> float:
        return self.age


class Rig:
    def __init__(self, *ingresses: str, interval_s: float = 1.0) -> None:
        self.saving = Saving()
        self.stop = Stop()
        self.readiness = Readiness(self.saving, self.stop, ingresses, interval_s=interval_s)

    @property
    def reasons(self) -> list[str]:
        return self.readiness.reasons()


def running(*ingresses: str, interval_s: float = 1.0) -> Rig:
    async def make() -> Rig:
        rig = Rig(*ingresses, interval_s=interval_s)
        rig.readiness.running()
        return rig

    return asyncio.run(make())


def test_a_worker_is_not_ready_before_it_runs():
    async def main() -> None:
        assert Rig().reasons == ["the worker is starting"]

    asyncio.run(main())


def test_it_is_ready_when_all_its_ingresses_read():
    rig = running("t/a", "t/b")
    assert rig.reasons == [
        "ingress 't/a' does not read yet: it waits for what it reads from",
        "ingress 't/b' does not read yet: it waits for what it reads from",
    ]
    rig.readiness.begun("t/b")
    assert len(rig.reasons) == 1
    rig.readiness.begun("t/a")
    assert rig.reasons == []


def test_a_checkpoint_that_failed_is_told_until_one_is_complete():
    rig = running()
    rig.saving.trouble = "no space left on device"
    assert rig.reasons == ["checkpoints cannot be written: no space left on device"]
    rig.saving.trouble = ""
    assert rig.reasons == []


def test_work_that_is_in_no_checkpoint_for_long_is_told():
    rig = running()
    rig.saving.age = 60.0
    assert rig.reasons == []
    rig.saving.age = 61.0
    assert rig.reasons == [
        "what was done in the last 61 s is in no complete checkpoint; more than 60 s is too long"
    ]


def test_what_is_long_depends_on_how_often_checkpoints_are_taken():
    rig = running(interval_s=100.0)
    rig.saving.age = 499.0
    assert rig.reasons == []
    rig.saving.age = 501.0
    assert len(rig.reasons) == 1


def test_a_worker_that_stops_is_not_ready_whatever_else_is_so():
    rig = running("t/a")
    rig.stop.ask()
    assert rig.reasons == ["the worker is stopping"]
