"""Planted bugs of rows, delayed messages and expiry."""

from tests.simulation.planted.mutant import Mutant, one

_WORKER = "engine/worker.py"

MUTANTS = (
    one(
        "resolve `latest` twice",
        _WORKER,
        "        await self.parts.checkpointer.saved()\n",
        "",
    ),
    one(
        "forget a timer",
        _WORKER,
        "                self.parts.delays.restore(key, row)\n",
        "                pass\n",
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
