"""Which checkpoints and objects are kept."""

from statefun_runtime.core.checkpoints.manifest import (
    Base,
    BaseFile,
    Delta,
    KeyGroups,
    Manifest,
    ObjectId,
    Outbox,
    Part,
    StoredObject,
)
from statefun_runtime.core.checkpoints.retention import Kept, Retention, savepoint_of

ALL = KeyGroups(0, 128)


def stored(name: str) -> StoredObject:
    return StoredObject(ObjectId(name), 1)


def kept(epoch: int, *, has_outbox: bool = False, parent: int | None = None) -> Kept:
    outbox = Outbox("e", epoch, 1, stored(f"outbox{epoch}"), is_transactional=True)
    manifest = Manifest(
        "app",
        epoch,
        1,
        "line",
        0,
        128,
        8,
        {},
        (Part("standalone", ALL, (), (Delta(epoch, stored(f"delta{epoch}")),)),),
        (outbox,) if has_outbox else (),
        ObjectId(f"m{parent}") if parent else None,
    )
    return Kept(ObjectId(f"m{epoch}"), manifest)


def retention(*several: Kept, kept_max: int = 1) -> Retention:
    made = Retention(kept_max, (), set())
    for one in several:
        made.added(one)
    return made


def test_the_newest_are_kept_with_all_that_they_name():
    made = retention(kept(1), kept(2), kept(3), kept_max=2)

    assert made.collect({}, []) == {"m1", "delta1"}
    assert made.oldest_epoch == 2
    assert made.collect({}, []) == set()


def test_an_outbox_that_is_not_confirmed_is_kept_however_old():
    made = retention(kept(1, has_outbox=True), kept(2, parent=1), kept(3, parent=1))

    # Of an old checkpoint only what may have to be published is needed.
    assert made.collect({"standalone": {"e": 0}}, []) == {"delta1", "delta2", "m2"}
    assert made.newest_pending({"standalone": {"e": 0}}) == "m1"


def test_a_manifest_that_a_kept_one_looks_back_to_is_kept_although_it_is_confirmed():
    made = retention(
        kept(1, has_outbox=True), kept(2, has_outbox=True, parent=1), kept(3, parent=2)
    )

    unneeded = made.collect({"standalone": {"e": 2}}, [])

    assert not unneeded & {"m1", "m2", "outbox1", "outbox2"}
    assert [one.id for one in made.chain()] == ["m1", "m2", "m3"]
    assert made.newest_pending({"standalone": {"e": 2}}) is None

    made.added(kept(4))
    assert made.collect({"standalone": {"e": 2}}, []) >= {"m1", "m2", "m3", "outbox1", "outbox2"}


def test_the_files_of_a_base_in_the_making_are_kept():
    made = Retention(1, (), {ObjectId("file"), ObjectId("orphan")})
    made.added(kept(1))

    assert made.collect({}, [Base(1, ALL, (BaseFile("1.sst", stored("file")),))]) == {"orphan"}


def test_what_a_lineage_that_was_left_did_not_publish_is_nobody_s_to_publish():
    before = (
        kept(1, has_outbox=True),
        kept(2, parent=1),
        kept(3, has_outbox=True, parent=1),
        kept(4, parent=3),
    )
    # Checkpoint 2 was chosen, though 4 was complete.
    made = Retention(1, before, set(), ObjectId("m2"))

    assert made.newest_pending({}) == "m1"
    made.added(kept(5, parent=1))
    made.collect({}, [])
    assert [one.id for one in made.chain()] == ["m1", "m5"]
    assert made.newest_pending({"standalone": {"e": 1}}) is None


def test_a_savepoint_needs_its_own_objects_and_the_outboxes_it_looks_back_to():
    chain = [kept(1, has_outbox=True), kept(2, has_outbox=True, parent=1), kept(3, parent=2)]

    savepoint = savepoint_of(chain)
    assert (savepoint.manifest, savepoint.epoch) == ("m3", 3)
    assert set(savepoint.objects) == {"m3", "delta3", "m1", "outbox1", "m2", "outbox2"}
