"""The form of a manifest: what is written is read as it was, and what an earlier version wrote, too."""

import json
from typing import Any

import pytest

from statefun_runtime.core.checkpoints.manifest import (
    Base,
    BaseFile,
    Delta,
    KeyGroups,
    Manifest,
    ObjectId,
    Outbox,
    Part,
    Progress,
    StoredObject,
)

FILE = {"name": "CURRENT", "object": {"id": "f", "size_bytes": 3}}
VERSION_2: dict[str, Any] = {
    "format": 2,
    "application": "app",
    "epoch": 9,
    "incarnation": 2,
    "lineage": "line",
    "created_ms": 5,
    "key_group_count": 64,
    "partition_count": 8,
    "positions": {"a/in": {"t/0": 7}},
    "base": {"epoch": 4, "files": [FILE]},
    "deltas": [{"epoch": 5, "object": {"id": "d", "size_bytes": 1}}],
    "outboxes": [
        {
            "egress": "a/out",
            "epoch": 9,
            "count": 2,
            "object": {"id": "o", "size_bytes": 2},
            "is_transactional": True,
        }
    ],
    "pending_parent": "p",
    "refused": {"a/out": [[3, 1]]},
    "progress": {"a/out": {"epoch": 8, "cluster": "c"}},
}


def object_(name: str) -> StoredObject:
    return StoredObject(ObjectId(name), len(name))


def stored(manifest: Manifest) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(manifest.encode())
    return content


def test_a_manifest_of_two_owners_is_read_as_it_was_written():
    left, right = KeyGroups(0, 64), KeyGroups(64, 128)
    bases = tuple(
        Base(epoch, groups, (BaseFile("1.sst", object_("x")),))
        for epoch, groups in ((3, KeyGroups(0, 32)), (5, KeyGroups(32, 64)))
    )
    manifest = Manifest(
        "app",
        9,
        2,
        "line",
        5,
        128,
        8,
        {"a/in": {"t/0": 7, "s": {"sequence": "49590338271490256608559692538361571095"}}},
        (
            Part("one", left, bases, (Delta(6, object_("d")),)),
            Part("two", right, (), (Delta(6, object_("dd")), Delta(7, object_("ddd")))),
        ),
        (
            Outbox("a/out", 9, 2, object_("o"), is_transactional=True, owner="one"),
            Outbox("a/out", 9, 3, object_("oo"), is_transactional=True, owner="two"),
        ),
        ObjectId("p"),
        {"two": {"a/out": [(3, 1)]}},
        {"one": {"a/out": Progress(8, "c")}},
    )

    assert Manifest.from_json(stored(manifest)) == manifest
    assert manifest.part_of("two") == manifest.parts[1]
    assert manifest.part_of("three") is None
    assert [outbox.count for outbox in manifest.outboxes_of("two")] == [3]
    assert [one.id for one in manifest.objects()] == ["x", "x", "d", "dd", "ddd", "o", "oo"]


def test_version_2_is_that_of_one_owner_and_is_written_anew_as_todays():
    manifest = Manifest.from_json(json.loads(json.dumps(VERSION_2)))

    everything = KeyGroups(0, 64)
    (part,) = manifest.parts
    assert (part.owner, part.key_groups) == ("standalone", everything)
    assert part.bases == (
        Base(4, everything, (BaseFile("CURRENT", StoredObject(ObjectId("f"), 3)),)),
    )
    assert part.deltas == (Delta(5, StoredObject(ObjectId("d"), 1)),)
    assert [outbox.owner for outbox in manifest.outboxes] == ["standalone"]
    assert manifest.refused == {"standalone": {"a/out": [(3, 1)]}}
    assert manifest.progress == {"standalone": {"a/out": Progress(8, "c")}}
    assert manifest.version == 2

    anew = Manifest.from_json(stored(manifest))
    assert anew.version == 5
    assert stored(anew) == stored(manifest)


def test_the_oldest_of_version_2_knew_neither_progress_nor_refusals():
    content = json.loads(json.dumps(VERSION_2))
    del content["progress"], content["refused"]

    manifest = Manifest.from_json(content)
    assert manifest.progress == {"standalone": {}}
    assert manifest.refused == {"standalone": {}}


def test_an_unknown_version_is_told():
    with pytest.raises(
        ValueError, match=r"^it is of version 6, and this worker reads versions 2, 3, 4, 5$"
    ):
        Manifest.from_json({**VERSION_2, "format": 6})


def test_what_another_had_of_a_range_is_no_part_of_who_goes_on_with_it():
    first, second = KeyGroups(0, 4), KeyGroups(4, 8)
    manifest = Manifest(
        "app",
        9,
        1,
        "line",
        0,
        8,
        8,
        {},
        (
            Part("one", first, (Base(3, first, ()),), (Delta(4, object_("a")),)),
            Part("two", second, (Base(7, second, ()),), (Delta(8, object_("b")),), object_("t")),
        ),
        (),
    )

    assert manifest.part_for("three", KeyGroups(2, 6)) == Part(
        "three",
        KeyGroups(2, 6),
        (Base(3, KeyGroups(2, 4), ()), Base(7, KeyGroups(4, 6), ())),
        (Delta(4, object_("a"), KeyGroups(2, 4)), Delta(8, object_("b"), KeyGroups(4, 6))),
    )
    # The delta of the first may hold rows of the second's range that are older than the second's base.
    assert [delta.key_groups for delta in manifest.whole().deltas] == [first, second]


def test_who_goes_on_with_a_whole_part_names_what_it_named():
    part = Part("one", KeyGroups(0, 4), (Base(3, KeyGroups(0, 4), ()),), (Delta(4, object_("a")),))
    manifest = Manifest("app", 9, 1, "line", 0, 4, 8, {}, (part,), ())
    assert manifest.part_for("one", KeyGroups(0, 4)) == part
