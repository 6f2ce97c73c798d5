"""What leader and workers say survives the way."""

import pytest

from statefun_runtime.core.checkpoints.manifest import (
    Base,
    BaseFile,
    Delta,
    KeyGroups,
    ObjectId,
    Outbox,
    Part,
    Progress,
    Snapshot,
    StoredObject,
)
from statefun_runtime.core.cluster import words

_STORED = StoredObject(ObjectId("o"), 3)
_BASE = Base(4, KeyGroups(0, 2), (BaseFile("1.sst", _STORED),))
_SNAPSHOT = Snapshot(
    Part("worker-1", KeyGroups(0, 2), (_BASE,), (Delta(5, _STORED, KeyGroups(0, 1)),), _STORED),
    17,
    {"a/in": {"t/0": 3}},
    (Outbox("a/out", 5, 2, _STORED, True, "worker-1"),),
    {"worker-1": {"a/out": [(4, 1)]}},
    {"worker-1": {"a/out": Progress(4, None)}},
    ("a/f",),
)


@pytest.mark.parametrize(
    "word",
    [
        words.Begin(7),
        words.Begin(8, is_last=True),
        words.Complete(7),
        words.Abort(7, "no space\nleft"),
        words.Collected(({"a/in": {"t/0": 3}},)),
        words.Hold("full"),
        words.Granted(),
        words.Finish(),
        words.Finish(500),
        words.Report(True, False, "full", (("worker-1", "a/out", 3),)),
        words.Acknowledged(7, _SNAPSHOT),
        words.Failed(7, "away", "SF3010"),
        words.Wants(),
        words.Uses(),
        words.Frees((_BASE,)),
        words.Rests(),
    ],
    ids=lambda word: type(word).__name__,
)
def test_a_word_is_read_as_it_was_said_and_is_one_line(word: words.Word):
    data = words.encode(word)
    assert b"\n" not in data
    assert words.decode(data) == word
