"""Planted bugs of several workers: their channels, barriers and plans."""

from tests.simulation.planted.mutant import Mutant, shared

_CHANNELS = "engine/cluster/channels.py"
_FOLLOWER = "engine/cluster/follower.py"
_ASSEMBLY = "engine/assembly.py"

MUTANTS: tuple[Mutant, ...] = (
    shared(
        "record nothing of what comes between the cut and a barrier",
        _CHANNELS,
        "            self._recorded.append(frame[1:])\n",
        "            pass\n",
    ),
    shared(
        "record what comes behind a barrier, too",
        "core/cluster/alignment.py",
        "            self._awaited.pop(sender, None)\n",
        "            pass\n",
    ),
    Mutant(
        "write the barrier in front of what was sent",
        ((_CHANNELS, "        self._flush()\n        frame = barrier", "        frame = barrier"),),
        test="tests/unit/engine/cluster/test_channels.py",
    ),
    shared(
        "forget what was between workers",
        _ASSEMBLY,
        "        await self._restore_in_transit()\n",
        "",
    ),
    shared(
        "take a checkpoint before what other workers had to publish has left",
        "core/checkpoints/settling.py",
        "    return tuple(outbox for outbox in outboxes if outbox.is_transactional)\n",
        "    return ()\n",
    ),
    shared(
        "take what was between workers whoever owns it",
        _ASSEMBLY,
        "self._targets.deliver(data, 0, self._owns)",
        "self._targets.deliver(data, 0)",
    ),
    shared(
        "acknowledge before all barriers have come",
        _FOLLOWER,
        "        await self._aligned.wait()\n",
        "",
    ),
    shared(
        "drop a keyed record whose key cannot be looked up now",
        _CHANNELS,
        "            self._when_readable(self._go_on)\n",
        "            self._waiting.clear()\n",
    ),
    shared(
        "leave out of a snapshot what waits for a row",
        _CHANNELS,
        "        self._recorded = list(self._waiting)\n",
        "        self._recorded = []\n",
    ),
    shared(
        "let nobody publish what a worker had left that is no more",
        "engine/cluster/team_life.py",
        "        return self.plan.home.slot\n\n    def _ended",
        "        return -1\n\n    def _ended",
    ),
    shared(
        "read all topic partitions in every worker",
        "connectors/kafka/topics.py",
        "filter(partial(self._reads, name), range(topic.partitions))",
        "range(topic.partitions)",
    ),
    Mutant(
        # Ranges do not come back to who had them before in so short a history.
        "go on from all key groups of a delta that another wrote",
        (
            (
                "core/checkpoints/manifest.py",
                "            replace(delta, key_groups=delta.key_groups or part.key_groups)\n",
                "            delta\n",
            ),
        ),
        test="tests/unit/core/checkpoints/test_manifest.py",
    ),
    shared(
        "cut at the leader's word alone",
        _FOLLOWER,
        "            self._cut(epoch)\n        self._alignment.barrier",
        "            return\n        self._alignment.barrier",
    ),
)
