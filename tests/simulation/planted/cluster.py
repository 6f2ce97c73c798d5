"""Planted bugs of clusters: of their topics, of what becomes of a life, and of HTTP in and out."""

from tests.simulation.planted.mutant import Mutant, clustered, shared

_LOG = "connectors/kafka/cluster/log.py"
_LINKS = "connectors/kafka/cluster/links.py"
_LIFE = "engine/cluster/team_life.py"
_FOLLOWER = "engine/cluster/follower.py"
_CHANNELS = "engine/cluster/channels.py"
_ENDS = "engine/ends.py"
_CARRIED = "app/cluster/carried.py"

MUTANTS: tuple[Mutant, ...] = (
    # ── the log ──
    clustered(
        "read the log from before the claim",
        _LOG,
        "        while not await self._is_read(consumer, content, mark):\n                pass\n",
        "        await self._is_read(consumer, content, mark)\n",
    ),
    # ── inboxes ──
    Mutant(
        "begin where an inbox ends, and miss nothing there",
        (
            (_LINKS, "start=self._start, begun", "start=None, begun"),
            (_LINKS, "        if number != self._received[slot]:\n", "        if False:\n"),
        ),
        cluster=3,
    ),
    # ── checkpoints of all ──
    clustered(
        "have a restored outbox published by each worker",
        _LIFE,
        "form([one for one in self._beginning.outboxes if self._heir(one) == slot])",
        "form(list(self._beginning.outboxes))",
    ),
    shared(
        "publish what another owner had left under one's own name",
        _ENDS,
        "                theirs[outbox.egress] = Egress(spec.id, self._make(spec, outbox.owner))\n",
        "                theirs[outbox.egress] = Egress(spec.id, self._make(spec, self._member.owner))\n",
    ),
    # ── plans ──
    clustered(
        "stop with no last checkpoint of all",
        _LIFE,
        "            if not await self.checkpointer.take() and number == 0:",
        "            if False:",
    ),
    # ── HTTP in and out ──
    clustered(
        "answer what is put before the brokers have it",
        _CARRIED,
        "                for one in sent:\n                    await one\n",
        "",
    ),
    shared(
        "restore in every worker what was on its way to an HTTP topic",
        _CHANNELS,
        "        return self._is_home if content[:1] == EGRESS else wanted(function_id)\n",
        "        return content[:1] == EGRESS or wanted(function_id)\n",
    ),
    shared(
        "lose what was on its way to an HTTP topic",
        _CHANNELS,
        "        return self._is_home if content[:1] == EGRESS else wanted(function_id)\n",
        "        return content[:1] != EGRESS and wanted(function_id)\n",
    ),
    clustered(
        "answer an acknowledgement when any checkpoint has ended",
        _FOLLOWER,
        "        wanted = self._alignment.epoch + 1\n",
        "        wanted = 0\n",
    ),
    clustered(
        "show in a cluster what is in no checkpoint",
        "connectors/playground/writer.py",
        "                place[0] > self.outbox.complete_epoch\n                or len(records)",
        "                len(records)",
    ),
    clustered(
        "go on behind a record that a read did not show",
        "connectors/playground/writer.py",
        "            size += len(payload)\n            last = place\n",
        "            size += len(payload)\n        last = topic.places[-1] if records else after\n",
    ),
    # ── power ──
    clustered(
        "acknowledge what no sync has reached",
        _FOLLOWER,
        "                await self._store.sync()\n",
        "",
    ),
)
