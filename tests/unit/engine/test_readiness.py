"""When a worker is ready, and what it says when it is not."""

import asyncio
from collections.abc import Sequence

from statefun_runtime.engine.readiness import Readiness
from statefun_runtime.engine.stop import Stop


class Saving:
    def __init__(self) -> None:
        self.trouble = ""
        self.age = 0.0

    def age_s(self) -> float:
        return self.age


class Ingress:
    def __init__(self) -> None:
        self.trouble: str | None = None
        self.lost: list[str] = []

    def why_cut_off(self) -> str | None:
        return self.trouble

    def waits(self) -> list[str]:
        return self.lost


class Rig:
    """`beside` are ingresses that nobody outside can cut off."""

    def __init__(
        self, *ingresses: str, beside: Sequence[str] = (), interval_s: float = 1.0
    ) -> None:
        self.saving = Saving()
        self.stop = Stop()
        self.ingresses = {name: Ingress() for name in ingresses}
        everything = {**self.ingresses, **dict.fromkeys(beside)}
        self.readiness = Readiness(self.saving, self.stop, everything, interval_s=interval_s)
        for name in beside:
            self.readiness.begun(name)

    @property
    def reasons(self) -> list[str]:
        return self.readiness.reasons()


def running(*ingresses: str, beside: Sequence[str] = (), interval_s: float = 1.0) -> Rig:
    async def make() -> Rig:
        rig = Rig(*ingresses, beside=beside, interval_s=interval_s)
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


def cut_off(*ingresses: str, beside: Sequence[str] = ()) -> Rig:
    rig = running(*ingresses, beside=beside)
    for name, ingress in rig.ingresses.items():
        rig.readiness.begun(name)
        ingress.trouble = "has had no answer of kafka:9092 since 03:00:00"
    return rig


def test_a_worker_into_which_nothing_can_come_is_not_ready():
    rig = cut_off("t/a", "t/b")

    assert rig.reasons == [
        "ingress 't/a' has had no answer of kafka:9092 since 03:00:00",
        "ingress 't/b' has had no answer of kafka:9092 since 03:00:00",
    ]
    assert rig.readiness.waits() == []
    rig.ingresses["t/a"].trouble = None
    assert rig.reasons == []


def test_a_worker_is_ready_as_long_as_anything_can_come_in_and_says_what_cannot():
    rig = cut_off("t/a", beside=["t/http"])

    assert rig.reasons == []
    assert rig.readiness.waits() == ["ingress 't/a' has had no answer of kafka:9092 since 03:00:00"]


def test_what_an_ingress_waits_for_stands_beside_what_it_is_ready_for():
    rig = running("t/a")
    rig.ingresses["t/a"].lost = ["has 2 topic partitions whose position is lost [SF3003]"]
    assert rig.readiness.waits() == []

    rig.readiness.begun("t/a")

    assert rig.reasons == []
    assert rig.readiness.waits() == [
        "ingress 't/a' has 2 topic partitions whose position is lost [SF3003]"
    ]
