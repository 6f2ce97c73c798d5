"""Planted bugs of backlogs, requests and failures."""

from tests.simulation.planted.mutant import Mutant, one

_FAILING = "core/partition/failure_state.py"
_POLICY = "engine/dispatch/failure_policy.py"
_LAW_TEST = "tests/unit/engine/test_failure_law.py"

MUTANTS = (
    one(
        "overtake a spilled backlog",
        "core/partition/partition.py",
        "            backlog.spill is not None\n            or backlog.waiting_bytes",
        "            backlog.waiting_bytes",
    ),
    one(
        "spill a head that is restored",
        "engine/dispatch/exchange.py",
        "        self._owned[backlog.owner].restore_head(backlog, invocations)\n",
        "        for one in invocations:\n"
        "            self._owned[backlog.owner].deliver(backlog, one)\n"
        "            if backlog.spill is not None:\n"
        "                self._spills.added(backlog)\n",
    ),
    one(
        "in-flight is not in the snapshot",
        "core/partition/backlog.py",
        "        return self.in_flight, self.waiting, len(self.waiting)\n",
        "        return [], self.waiting, len(self.waiting)\n",
    ),
    one(
        "what came after the cut is in the snapshot",
        "core/partition/backlog.py",
        "        return self.in_flight, self.waiting, len(self.waiting)\n",
        "        return self.in_flight, self.waiting, 1 << 60\n",
    ),
    one(
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
    one(
        "leave for minutes who may fail for its endpoint",
        "core/partition/failures.py",
        "            pause_s = min(pause_s, _UNDECIDED_PAUSE_S)\n",
        "            pause_s = 64.0\n",
    ),
    one(
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
    one(
        "take what came back for answered",
        "engine/dispatch/dispatcher.py",
        "        backlog.is_slow = backlog.is_slow or goes_alone\n"
        "        self._owned[backlog.owner].again(backlog)\n",
        "        backlog.is_slow = backlog.is_slow or goes_alone\n"
        "        self._owned[backlog.owner].settle(backlog)\n",
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
        "take what is asked for later for an outage",
        (
            (
                "core/partition/circuit.py",
                "        if failure.is_refused_reply or failure.is_later:\n",
                "        if failure.is_refused_reply:\n",
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
    one(
        "apply a reply twice",
        "engine/dispatch/dispatcher.py",
        "            self._applier.apply(backlog, reply)\n",
        "            self._applier.apply(backlog, reply)\n"
        "            if backlog.failing is not None:\n"
        "                self._applier.apply(backlog, reply)\n",
    ),
    one(
        "put a parked backlog behind its chunks",
        "core/partition/spill.py",
        "        self.chunks.appendleft(chunk)\n",
        "        self.chunks.append(chunk)\n",
    ),
    one(
        "give up a whole batch for one of its invocations",
        "core/partition/failure_law.py",
        "    if batch > 1 and (failing.width or pause_s is None):\n",
        "    if False:\n",
    ),
    one(
        "send a dead letter and keep its invocation",
        "engine/dispatch/failure_policy.py",
        "                self._owned[backlog.owner].failures.give_up(backlog)\n",
        "                self._owned[backlog.owner].send_back(backlog)\n",
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
    Mutant(
        "let nobody in who could show that an endpoint is well",
        (
            (
                "engine/dispatch/exchange.py",
                "            return bool(function.ready) or not is_idle\n",
                "            return True\n",
            ),
        ),
        test="tests/unit/engine/test_ingress_context.py",
    ),
)
