"""Planted bugs of rows, delayed messages and expiry."""

from tests.simulation.planted.mutant import Mutant, one

_WORKER = "engine/worker.py"
_TIMERS = "core/partition/timers.py"

MUTANTS = (
    one(
        "resolve `latest` twice",
        _WORKER,
        "            await self.parts.checkpointer.saved()\n",
        "            pass\n",
    ),
    one(
        "forget how many delayed messages wait",
        _WORKER,
        "            self.parts.delays.restore(prefix)\n",
        "            pass\n",
    ),
    one(
        "forget a timer when its layer is stored",
        _TIMERS,
        "        if heap:\n            self._lower(heap[0])\n",
        "",
    ),
    one(
        "pass over what is behind a slab",
        "engine/state/delays.py",
        "        last = keys[-1] if len(keys) == self._slab_rows else None\n",
        "        last = None\n",
    ),
    # A delayed message has no order that a history could check.
    Mutant(
        "fire before what is stored was looked at",
        (
            (
                _TIMERS,
                "        if not heap or heap[0] >= self._first_bound or _due_ms(heap[0]) > now_ms:\n",
                "        if not heap or _due_ms(heap[0]) > now_ms:\n",
            ),
        ),
        "tests/unit/core/partition/test_timers.py",
    ),
    one(
        "look for delayed messages in the store that was lost",
        "engine/state/delays.py",
        "            for epoch, rows in self._states.unstored_rows()\n",
        "            for epoch, rows in ()\n",
    ),
    one(
        "keep a token whose message has fired",
        "engine/state/delays.py",
        "        if delayed.token:\n            self._states.write(token_key(key[:2], delayed.sender_id, delayed.token), None)\n",
        "",
    ),
    one(
        "a timer fires again",
        "engine/state/delays.py",
        "        self._partitions.taken(key)\n        self._states.write(key, None)\n",
        "        self._partitions.taken(key)\n",
    ),
    one(
        "forget an idempotency key",
        "engine/state/idempotency.py",
        "        self._states.write(self._row_key(function, function_id, key), stamp + digest)\n",
        "        pass\n",
    ),
    one(
        "stop cuts into a checkpoint",
        _WORKER,
        "        await parts.checkpointer.rest()\n",
        "",
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
        "leave behind what version 2 had in no key group",
        (
            (
                "engine/state/upgrade.py",
                "        states.write(egress_prefix(topic.decode()) + place, row)\n",
                "",
            ),
        ),
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
    one(
        "say nothing of a chunk",
        "engine/state/chunks.py",
        "    states.write(chunk_index_key_of(key), chunk.index_row())\n\n\ndef read_chunk",
        "\n\ndef read_chunk",
    ),
)
