"""Planted bugs of checkpoints and where a life begins."""

from tests.simulation.planted.mutant import Mutant, one

_SNAPSHOTS = "engine/checkpoints/snapshots.py"
_LEDGER = "engine/checkpoints/ledger.py"
_BASES = "engine/checkpoints/bases.py"
_PARTICIPANT = "engine/checkpoints/participant.py"

MUTANTS = (
    Mutant(
        # The commit log stops a zombie as well; a copy of the folder has another log, and is not simulated.
        "take a successor for a timed-out transaction",
        (
            (
                "core/checkpoints/commits.py",
                "        if not is_known or one.incarnation > own.incarnation:\n            return",
                "        if False:\n            return",
            ),
        ),
        test="tests/unit/core/checkpoints/test_commits.py",
    ),
    Mutant(
        "believe a marker that the log cannot know",
        (
            (
                "core/checkpoints/commits.py",
                "        if not is_mine and not",
                "        if False and not",
            ),
        ),
        test="tests/unit/core/checkpoints/test_commits.py",
    ),
    Mutant(
        "take the epochs of a copy for those that its original published",
        (
            (
                "core/checkpoints/commits.py",
                "            and start.from_epoch < one.epoch\n",
                "            and False\n",
            ),
        ),
        test="tests/unit/core/checkpoints/test_commits.py",
    ),
    one("commit before durable: names", _LEDGER, "        await self._store.sync()\n", ""),
    one(
        "an aborted epoch's rows are not merged",
        _SNAPSHOTS,
        "        layers = self._states.unsaved()\n",
        "        layers = [cut.layer]\n",
    ),
    one(
        "look back to no earlier outbox",
        "engine/checkpoints/recovery.py",
        "    parent = manifest.pending_parent\n",
        "    parent = None\n",
    ),
    one(
        "collect unpublished outboxes",
        "core/checkpoints/retention.py",
        "            if kept.id in is_whole or kept.id in chained or self._is_pending(kept, confirmed)\n",
        "            if kept.id in is_whole\n",
    ),
    one(
        "collect a base too early",
        "core/checkpoints/retention.py",
        "                needed.update(stored.id for stored in kept.manifest.objects())\n",
        "                needed.update(one.object.id for one in kept.manifest.deltas)\n",
    ),
    one(
        "a base has no heads after it",
        _PARTICIPANT,
        "            self._touch_busy()\n",
        "            pass\n",
    ),
    one(
        "a delta after a base is left out",
        _BASES,
        "if delta.epoch > self._whole_until)",
        "if delta.epoch > self._whole_until + 1)",
    ),
    one(
        "a tail is not in the snapshot",
        _PARTICIPANT,
        "        self._spills.cut_tails()\n",
        "",
    ),
    one(
        "a savepoint lacks what was published by none",
        "core/checkpoints/retention.py",
        "        needed |= {outbox.object.id: None for outbox in kept.manifest.outboxes}\n",
        "",
    ),
    one(
        "begin at a savepoint again at each start",
        "engine/checkpoints/recovery.py",
        "    is_new_lineage = origin is not None and history.origin != origin\n",
        "    is_new_lineage = origin is not None\n",
    ),
    Mutant(
        "go on before the point where a lineage began",
        (
            (
                "engine/checkpoints/recovery.py",
                "    if completed and before is not None and completed[-1].lineage == before.lineage:\n",
                "    if completed:\n",
            ),
        ),
        "tests/unit/engine/checkpoints/test_recovery.py",
    ),
    Mutant(
        "drop the outboxes of a savepoint at one start only",
        (
            (
                "engine/beginning.py",
                "        return replace(self, start=start, outboxes=())\n",
                "        return replace(self, outboxes=())\n",
            ),
        ),
        "tests/unit/engine/checkpoints/test_recovery.py",
    ),
    one(
        "take another application's past for one's own",
        "engine/checkpoints/recovery.py",
        "    is_ours = manifest is not None and manifest.application == application\n",
        "    is_ours = manifest is not None\n",
    ),
    Mutant(
        "reuse an incarnation",
        (
            (
                "engine/checkpoints/recovery.py",
                "incarnation=before.incarnation + 1 if before else 1",
                "incarnation=before.incarnation if before else 1",
            ),
            (
                "engine/checkpoints/recovery.py",
                "        nonce=names.nonce,\n",
                "        nonce='n',\n",
            ),
        ),
    ),
    one(
        "lose the clock",
        "engine/assembly.py",
        "ports.make_clock(manifest.created_ms if manifest else 0)",
        "ports.make_clock(0)",
    ),
    Mutant(
        "abort what may be in the log",
        (
            (
                _LEDGER,
                "        while True:\n            try:\n                entries",
                "        raise unclear\n        while True:\n            try:\n                entries",
            ),
        ),
        "tests/unit/engine/checkpoints/test_checkpointer.py",
    ),
    Mutant(
        "complete before all have acknowledged",
        (
            (
                "core/checkpoints/round.py",
                "if self.station is Station.ALIGNED and len(self._parts) == len(self._participants):",
                "if self.station is Station.ALIGNED:",
            ),
        ),
        "tests/unit/core/checkpoints/test_round.py",
    ),
    Mutant(
        "one of two hears nothing of an abort",
        (
            (
                "engine/checkpoints/checkpointer.py",
                "            participant.aborted(taken.epoch)\n",
                "            participant.aborted(taken.epoch)\n            break\n",
            ),
        ),
        "tests/unit/engine/checkpoints/test_participants.py",
    ),
    Mutant(
        "take the rows of others out of a base",
        (
            (
                "engine/checkpoints/recovery.py",
                "        for group in range(base.key_groups.first, base.key_groups.end):\n",
                "        for group in range(128):\n",
            ),
        ),
        "tests/unit/engine/checkpoints/test_recovery.py",
    ),
    Mutant(
        "collect beside a base in the making",
        (
            (
                _BASES,
                "        async with self.in_use:\n            await self._take()\n",
                "        await self._take()\n",
            ),
        ),
        "tests/unit/engine/checkpoints/test_recovery.py",
    ),
    Mutant(
        "take a base of what another store had",
        (
            (
                "engine/state/states.py",
                "        self.stored_epoch = epoch\n        self._overlay.store_replaced",
                "        self._overlay.store_replaced",
            ),
        ),
        "tests/unit/engine/test_lost_store.py",
    ),
    Mutant(
        "look back to what was half collected",
        (("engine/checkpoints/recovery.py", "if _is_whole(kept, found, there)", ""),),
        "tests/unit/engine/checkpoints/test_recovery.py",
    ),
    Mutant(
        "a rebuilt store lacks what it had",
        (
            (
                "core/checkpoints/overlay.py",
                "            layer.is_stored = layer.epoch <= epoch\n        self.drop_done()\n",
                "            pass\n",
            ),
        ),
        "tests/unit/core/checkpoints/test_overlay.py",
    ),
    Mutant(
        "drop what the store that is lost never had",
        (
            (
                "core/checkpoints/overlay.py",
                "            layer.is_stored = layer.is_stored and layer.epoch <= epoch\n",
                "            layer.is_stored = layer.epoch <= epoch\n",
            ),
        ),
        "tests/unit/core/checkpoints/test_overlay.py",
    ),
    Mutant(
        "keep what the next store lacks only in the lost one",
        (
            (
                "core/checkpoints/overlay.py",
                "            layer.is_stored = layer.is_stored and layer.epoch <= epoch\n",
                "            pass\n",
            ),
        ),
        "tests/unit/core/checkpoints/test_overlay.py",
    ),
    Mutant(
        "a rebuilt store's files are taken for the old",
        ((_BASES, "        self._sst.clear()\n", "        pass\n"),),
        "tests/unit/engine/checkpoints/test_recovery.py",
    ),
    Mutant(
        "publish what a lineage that was left had not",
        (
            (
                "core/checkpoints/retention.py",
                "        return kept.id in self._own and kept.is_pending(confirmed)\n",
                "        return kept.is_pending(confirmed)\n",
            ),
        ),
        "tests/unit/core/checkpoints/test_retention.py",
    ),
    Mutant(
        "go on behind the entries of a later life",
        (
            (
                _LEDGER,
                "            require_newest(History(tuple(entries)), self._identity.started)\n",
                "",
            ),
        ),
        test="tests/unit/engine/checkpoints/test_checkpointer.py",
    ),
)
