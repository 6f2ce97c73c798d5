"""The planted bugs: for each a name, and what is replaced by what in which file."""

from dataclasses import dataclass

Edit = tuple[str, str, str]
_PUBLISHER, _PROGRESS = (
    "connectors/kafka/egress/publisher.py",
    "connectors/kafka/egress/progress.py",
)
_SNAPSHOTS, _WORKER = "engine/checkpoints/snapshots.py", "engine/worker.py"
_LEDGER, _BASES = "engine/checkpoints/ledger.py", "engine/checkpoints/bases.py"
_PARTICIPANT = "engine/checkpoints/participant.py"
_HTTP_IN = "connectors/playground/reader.py"
_OUTBOX = "core/outboxes/epoch_outbox.py"
_FAILING, _POLICY = "core/partition/failure_state.py", "engine/dispatch/failure_policy.py"
_BUNDLE = "adapters/http/bundles/exchange.py"
_BUNDLE_TEST = "tests/unit/adapters/http/bundles/test_bundles.py"
_LAW_TEST = "tests/unit/engine/test_failure_law.py"


@dataclass(frozen=True)
class Mutant:
    """A bug; `test` is a unit test that catches it where a whole worker cannot be harmed."""

    name: str
    edits: tuple[Edit, ...]
    test: str | None = None


def _one(name: str, file: str, before: str, after: str) -> Mutant:
    return Mutant(name, ((file, before, after),))


MUTANTS = (
    _one(
        "skip the marker",
        _PUBLISHER,
        "                await self._note(self._open_producer, marker)\n"
        "                await self._commit()\n",
        "                await self._commit()\n",
    ),
    Mutant(
        "read markers before initialising",
        (
            (
                _PUBLISHER,
                "        producer = self._producer = self._clients",
                "        seen = await kafka_progress.read_until(\n"
                "            self._clients, self._progress_topic, None, self._arguments\n        )\n"
                "        producer = self._producer = self._clients",
            ),
            (
                _PUBLISHER,
                "        seen = await kafka_progress.read_until(\n"
                "            self._clients, self._progress_topic, own, self._arguments\n        )\n",
                "",
            ),
            (
                _PROGRESS,
                "            while True:\n",
                "            end = consumer._partition(place).stable if own is None else 1 << 60\n"
                "            while True:\n"
                "                if await consumer.position(place) >= end - 1:\n"
                "                    return seen\n",
            ),
        ),
    ),
    _one(
        "read markers up to the reported end",
        _PROGRESS,
        "            while True:\n",
        "            end = (await consumer.end_offsets([place]))[place]\n"
        "            while True:\n"
        "                if await consumer.position(place) >= end - 1:\n"
        "                    return seen\n",
    ),
    _one(
        "take a timed-out transaction for a successor",
        _PUBLISHER,
        "        self._recoveries += 1\n",
        "        self._recoveries += 1\n"
        "        if type(error).__name__ == 'ProducerFenced':\n"
        "            raise FencedError('fenced') from None\n",
    ),
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
    _one(
        "resolve `latest` twice",
        _WORKER,
        "        await self.parts.checkpointer.saved()\n",
        "",
    ),
    Mutant(
        "route an HTTP record before its sync",
        (
            (
                _HTTP_IN,
                "        try:\n            await asyncio.shield(",
                "        answers = [self._answer(self._route(record)) for record, _ in waiting]\n"
                "        try:\n            await asyncio.shield(",
            ),
            (
                _HTTP_IN,
                "        for record, answer in waiting:\n"
                "            answer.resolve(self._answer(await self._routed(record)))\n",
                "        for (_, answer), said in zip(waiting, answers):\n"
                "            answer.resolve(said)\n",
            ),
        ),
    ),
    _one(
        "answer HTTP before the sync",
        "connectors/playground/ingress_log.py",
        "                file.flush()\n                self._disk.sync(file)\n        except OSError as error:\n"
        "            raise _unavailable(segment.path, error) from error\n        segment.count",
        "                file.flush()\n        except OSError as error:\n"
        "            raise _unavailable(segment.path, error) from error\n        segment.count",
    ),
    _one(
        "read an unsynced tail of the HTTP log",
        "connectors/playground/ingress_log.py",
        "            self._mend(self._segments[-1])\n",
        "            pass\n",
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
    _one("commit before durable: names", _LEDGER, "        await self._store.sync()\n", ""),
    _one(
        "commit before durable: content",
        "adapters/storage/object_folder.py",
        "                file.flush()\n                self._disk.sync(file)\n",
        "                file.flush()\n",
    ),
    _one(
        "publish before the log entry is synced",
        "adapters/storage/commit_log_folder.py",
        "            self._disk.sync_folder(self._folder)\n            writing.unlink()\n",
        "            writing.unlink()\n",
    ),
    _one(
        "publish before the epoch is complete",
        _OUTBOX,
        "            self._awaiting.append(Batch(",
        "            self._queue.append(Batch(",
    ),
    _one(
        "drop the outbox of an aborted epoch",
        _OUTBOX,
        "            self._collected = batch.records + self._collected\n",
        "",
    ),
    _one(
        "put an aborted outbox behind the next",
        _OUTBOX,
        "            self._collected = batch.records + self._collected\n",
        "            self._collected = self._collected + batch.records\n",
    ),
    _one(
        "an aborted epoch's rows are not merged",
        _SNAPSHOTS,
        "        layers = self._states.unsaved()\n",
        "        layers = [cut.layer]\n",
    ),
    _one(
        "ignore how far a marker counts",
        _PUBLISHER,
        "                self.outbox.published(epoch, count)\n",
        "                self.outbox.published(epoch, 0)\n",
    ),
    _one(
        "look back to no earlier outbox",
        "engine/checkpoints/recovery.py",
        "    parent = manifest.pending_parent\n",
        "    parent = None\n",
    ),
    _one(
        "collect unpublished outboxes",
        "core/checkpoints/retention.py",
        "            if kept.id in is_whole or kept.id in chained or self._is_pending(kept, confirmed)\n",
        "            if kept.id in is_whole\n",
    ),
    _one(
        "collect a base too early",
        "core/checkpoints/retention.py",
        "                needed.update(stored.id for stored in kept.manifest.objects())\n",
        "                needed.update(one.object.id for one in kept.manifest.deltas)\n",
    ),
    _one(
        "a base has no heads after it",
        _PARTICIPANT,
        "            self._touch_busy()\n",
        "            pass\n",
    ),
    _one(
        "a delta after a base is left out",
        _BASES,
        "if not self._current or delta.epoch > oldest)",
        "if not self._current or delta.epoch > oldest + 1)",
    ),
    _one(
        "overtake a spilled backlog",
        "core/partition/partition.py",
        "            backlog.spill is not None\n            or backlog.waiting_bytes",
        "            backlog.waiting_bytes",
    ),
    _one(
        "a tail is not in the snapshot",
        _PARTICIPANT,
        "        self._spills.cut_tails()\n",
        "",
    ),
    _one(
        "spill a head that is restored",
        "engine/dispatch/exchange.py",
        "        self._owned[backlog.owner].restore_head(backlog, invocations)\n",
        "        for one in invocations:\n"
        "            self._owned[backlog.owner].deliver(backlog, one)\n"
        "            if backlog.spill is not None:\n"
        "                self._spills.added(backlog)\n",
    ),
    _one(
        "in-flight is not in the snapshot",
        "core/partition/backlog.py",
        "        return self.in_flight, self.waiting, len(self.waiting)\n",
        "        return [], self.waiting, len(self.waiting)\n",
    ),
    _one(
        "a savepoint is not synced",
        "adapters/storage/savepoint_folder.py",
        "        disk.sync_folder(objects)\n",
        "",
    ),
    _one(
        "a savepoint lacks what was published by none",
        "core/checkpoints/retention.py",
        "        needed |= {outbox.object.id: None for outbox in kept.manifest.outboxes}\n",
        "",
    ),
    _one(
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
    _one(
        "take another application's past for one's own",
        "engine/checkpoints/recovery.py",
        "    is_ours = manifest is not None and manifest.application == application\n",
        "    is_ours = manifest is not None\n",
    ),
    _one(
        "what came after the cut is in the snapshot",
        "core/partition/backlog.py",
        "        return self.in_flight, self.waiting, len(self.waiting)\n",
        "        return self.in_flight, self.waiting, 1 << 60\n",
    ),
    _one(
        "give up what may fail for its endpoint",
        _FAILING,
        "        self.is_decided = failure.is_refused_reply or is_shown\n",
        "        self.is_decided = True\n",
    ),
    Mutant(
        "take one success for a proof that an address fails alone",
        ((_FAILING, "_ALONE_MIN = 3\n", "_ALONE_MIN = 1\n"),),
        _LAW_TEST,
    ),
    Mutant(
        "take replies on their way for a proof that others go well",
        ((_FAILING, "circuit.well_from_s > (", "circuit.succeeded_s > ("),),
        _LAW_TEST,
    ),
    Mutant(
        "take what was long ago for a proof that others go well",
        (
            (
                _FAILING,
                "(is_alone and self.alone >= _ALONE_MIN)",
                "(self.alone >= _ALONE_MIN)",
            ),
        ),
        _LAW_TEST,
    ),
    Mutant(
        "take a part that went well later for a proof against the rest",
        ((_FAILING, "_AT_ONCE_S = 1.0\n", "_AT_ONCE_S = 1e9\n"),),
        _LAW_TEST,
    ),
    Mutant(
        "give a single invocation no time of its own",
        ((_FAILING, "        if width == 1:\n", "        if False:\n"),),
        _LAW_TEST,
    ),
    _one(
        "leave for minutes who may fail for its endpoint",
        "core/partition/failures.py",
        "            pause_s = min(pause_s, _UNDECIDED_PAUSE_S)\n",
        "            pause_s = 64.0\n",
    ),
    _one(
        "probe an endpoint that is down once",
        _POLICY,
        "        if self._probe_alarm is None:\n            self._left_alone_s",
        "        if self._probe_alarm is None and not was_down:\n            self._left_alone_s",
    ),
    Mutant(
        "send nothing behind a reply that had to wait for its turn",
        (
            (
                "engine/dispatch/dispatcher.py",
                "nothing to send yet.\n            self.has_room()\n",
                "nothing to send yet.\n",
            ),
        ),
        "tests/unit/engine/test_dispatcher.py",
    ),
    Mutant(
        "count poison as an outage",
        (("core/partition/circuit.py", "            if is_known:\n", "            if False:\n"),),
        _LAW_TEST,
    ),
    Mutant(
        "probe with a whole batch",
        (
            (
                "engine/dispatch/dispatcher.py",
                "            self._send(probe, is_alone=True, is_probe=True)\n",
                "            self._send(probe, is_alone=True)\n",
            ),
        ),
        _LAW_TEST,
    ),
    _one(
        "take what came back for answered",
        "engine/dispatch/dispatcher.py",
        "        backlog.is_slow = backlog.is_slow or goes_alone\n"
        "        self._owned[backlog.owner].again(backlog)\n",
        "        backlog.is_slow = backlog.is_slow or goes_alone\n"
        "        self._owned[backlog.owner].settle(backlog)\n",
    ),
    Mutant(
        "believe what stands behind a second outcome of one address",
        (
            (
                _BUNDLE,
                '                    raise BrokenBundleError(f"an outcome of index {index}, which is not wanted")\n',
                "                    continue\n",
            ),
        ),
        _BUNDLE_TEST,
    ),
    Mutant(
        "blame all who stood behind one that hangs",
        (
            (
                _BUNDLE,
                "            self._return_left(goes_alone=True)\n        self._close()\n",
                '            self._break("no reply within the time limit")\n            return\n'
                "        self._close()\n",
            ),
        ),
        _BUNDLE_TEST,
    ),
    Mutant(
        "make an attempt that has no time",
        (
            (
                "core/partition/failure_law.py",
                " - failing.spent_s - failing.need_s\n",
                " - failing.spent_s\n",
            ),
            (
                "core/partition/failure_law.py",
                "    return call_s if failing.parked_times or left_s < failing.need_s else left_s\n",
                "    return call_s if failing.parked_times else max(0.01, left_s)\n",
            ),
        ),
        _LAW_TEST,
    ),
    Mutant(
        "count what is asked for later",
        (("core/partition/failure_law.py", "    if failure.is_later:\n", "    if False:\n"),),
        _LAW_TEST,
    ),
    Mutant(
        "a parked address counts as busy",
        (
            (
                "core/partition/partition.py",
                '        _move(backlog, "failed", Phase.IN_FLIGHT, Phase.PARKED)\n'
                "        backlog.tally.parked += 1\n        backlog.tally.busy -= 1\n",
                '        _move(backlog, "failed", Phase.IN_FLIGHT, Phase.PARKED)\n'
                "        backlog.tally.parked += 1\n",
            ),
        ),
        "tests/unit/core/partition/test_partition.py",
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
    _one(
        "forget a timer",
        _WORKER,
        "                self.parts.delays.restore(key, row)\n",
        "                pass\n",
    ),
    _one(
        "a timer fires again",
        "engine/state/delays.py",
        "        self._partitions.taken(key)\n        self._states.write(key, None)\n",
        "        self._partitions.taken(key)\n",
    ),
    _one(
        "lose the clock",
        "engine/assembly.py",
        "ports.make_clock(manifest.created_ms if manifest else 0)",
        "ports.make_clock(0)",
    ),
    _one(
        "forget an idempotency key",
        "engine/state/idempotency.py",
        "        self._states.write(self._row_key(function, function_id, key), stamp + digest)\n",
        "        pass\n",
    ),
    _one(
        "show what is in no checkpoint by cursor",
        "connectors/playground/writer.py",
        "                place[0] > self.outbox.complete_epoch\n                or len(records)",
        "                len(records)",
    ),
    _one(
        "stop cuts into a checkpoint",
        _WORKER,
        "        await parts.checkpointer.idle()\n",
        "",
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
        "ask functions before a start is in the log",
        (
            (
                _WORKER,
                "        await self.enter()\n        parts.exchange.start()\n",
                "        parts.exchange.start()\n        await self.enter()\n",
            ),
        ),
        "tests/unit/engine/test_worker.py",
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
        "leave behind what version 2 had in no key group",
        (("engine/state/upgrade.py", "        states.write(prefix + place, row)\n", ""),),
        "tests/unit/engine/test_upgrade.py",
    ),
    Mutant(
        "count no chunks of version 2",
        (
            (
                "engine/state/upgrade.py",
                "            states.write(chunk_index_key_of(key), chunk.index_row())\n",
                "",
            ),
        ),
        "tests/unit/engine/test_upgrade.py",
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
                "        async with self.in_use:\n            await self._take(epoch)\n",
                "        await self._take(epoch)\n",
            ),
        ),
        "tests/unit/engine/checkpoints/test_recovery.py",
    ),
    Mutant(
        "keep the HTTP log for the newest checkpoint alone",
        (
            (
                _HTTP_IN,
                "        self._needed_from = min(",
                "        self._needed_from = max(",
            ),
        ),
        "tests/unit/connectors/playground/test_playground.py",
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
    _one(
        "say nothing of a chunk",
        "engine/state/chunks.py",
        "    states.write(chunk_index_key_of(key), chunk.index_row())\n\n\ndef read_chunk",
        "\n\ndef read_chunk",
    ),
    Mutant(
        "take a chunk off before it is read",
        (
            (
                "core/partition/partition.py",
                "            return spill.chunks[0]\n",
                "            return spill.chunks.popleft()\n",
            ),
            (
                "core/partition/partition.py",
                "        first = backlog.spill.chunks.popleft()\n        assert first == chunk\n",
                "",
            ),
        ),
        "tests/unit/engine/test_lost_store.py",
    ),
    Mutant(
        "a rebuilt store's files are taken for the old",
        ((_BASES, "        self._sst.clear()\n", "        pass\n"),),
        "tests/unit/engine/checkpoints/test_recovery.py",
    ),
    _one(
        "forget what was not acknowledged",
        "core/outboxes/direct_outbox.py",
        "        if not self._is_kept:\n            return []\n",
        "        if True:\n            return []\n",
    ),
    _one(
        "drop the HTTP log up to where it is read",
        _HTTP_IN,
        "self._log.drop_before(self._needed_from)",
        "self._log.drop_before(self._position)",
    ),
    Mutant(
        "read a topic that was made anew from the offset of the old one",
        (
            (
                "connectors/kafka/ingress/decision.py",
                "    is_anew = at.topic_id != log.topic_id if knows_ids else was_gone and not is_there\n",
                "    is_anew = not knows_ids and was_gone and not is_there\n",
            ),
        ),
        "tests/unit/connectors/kafka/test_kafka_splits.py",
    ),
    Mutant(
        "go on where a lost offset has come into being again",
        (
            (
                "connectors/kafka/ingress/decision.py",
                "    if is_there and not at.lost:\n",
                "    if is_there:\n",
            ),
        ),
        "tests/unit/connectors/kafka/test_kafka_splits.py",
    ),
    _one(
        "begin behind the checkpoint's position",
        "connectors/kafka/ingress/decision.py",
        "        return GoesOn(replace(at, topic_id=log.topic_id or at.topic_id))\n",
        "        return GoesOn(log.at(OffsetReset.LATEST))\n",
    ),
    _one(
        "apply a reply twice",
        "engine/dispatch/dispatcher.py",
        "            self._applier.apply(backlog, reply)\n",
        "            self._applier.apply(backlog, reply)\n"
        "            if backlog.failing is not None:\n"
        "                self._applier.apply(backlog, reply)\n",
    ),
    _one(
        "put a parked backlog behind its chunks",
        "core/partition/spill.py",
        "        self.chunks.appendleft(chunk)\n",
        "        self.chunks.append(chunk)\n",
    ),
    _one(
        "give up a whole batch for one of its invocations",
        "core/partition/failure_law.py",
        "    if batch > 1 and (failing.width or pause_s is None):\n",
        "    if False:\n",
    ),
    _one(
        "send a dead letter and keep its invocation",
        "engine/dispatch/failure_policy.py",
        "                self._owned[backlog.owner].failures.give_up(backlog)\n",
        "                self._owned[backlog.owner].send_back(backlog)\n",
    ),
    Mutant(
        "count a refused record before its dead letter is durable",
        (
            (
                _OUTBOX,
                "                if letter_epoch is None or letter_epoch > self._complete_epoch:\n",
                "                if letter_epoch is None:\n",
            ),
        ),
        "tests/unit/core/outboxes/test_outbox.py",
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
        "take the zeros of a power cut for records",
        (
            (
                "connectors/playground/ingress_log.py",
                "            if not size or len",
                "            if len",
            ),
        ),
        "tests/unit/connectors/playground/test_ingress_log.py",
    ),
    Mutant(
        "skip an invocation and leave its request out",
        (
            (
                "engine/dispatch/dispatcher.py",
                "                if not self._client.cancel(backlog):\n                    return False\n",
                "",
            ),
        ),
        "tests/unit/engine/test_outcomes.py",
    ),
    *(
        Mutant(name, ((file, before, after),), "tests/unit/app/test_shadow.py")
        for name, file, before, after in (
            (
                "have a shadow write where its original writes",
                "connectors/kafka/egress/records.py",
                "        topic += topic_suffix\n",
                "",
            ),
            (
                "have a checkpoint of a shadow name the original's topic",
                "connectors/kafka/egress/records.py",
                "        value = with_kafka_topic(value, topic)\n",
                "",
            ),
            (
                "let a shadow go on in the place of its original",
                "app/shadow.py",
                "not was_shadow and has_run",
                "False",
            ),
        )
    ),
    *(
        Mutant(name, ((file, before, after),), "tests/unit/connectors/flink/test_importing.py")
        for name, file, before, after in (
            (
                "go on at the last offset that Flink has read",
                "connectors/flink/rows/operator_rows.py",
                "else self.last + 1",
                "else self.last",
            ),
            (
                "bring the queue in front of what was in flight",
                "connectors/flink/importing/carrying.py",
                "setdefault(function_type, []).append(",
                "setdefault(function_type, []).insert(0, ",
            ),
            (
                "take an id from a key group that it is not of",
                "connectors/flink/rows/function_rows.py",
                "if group != row.key_group or",
                "if False and",
            ),
            (
                "forget when an imported value was last used",
                "connectors/flink/importing/carrying.py",
                "stamps or None",
                "None",
            ),
            (
                "let a worker begin on half an import",
                "adapters/storage/state_folder.py",
                "if not for_import and was_left:",
                "if False:",
            ),
        )
    ),
)
