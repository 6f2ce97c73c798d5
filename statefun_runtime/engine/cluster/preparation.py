"""The plan to come, and its workers, which stand by while those of the plan that is go on.

    hired ─▶ all open the last checkpoint ─▶ and the one that is the last by then ─▶ … ─▶ the plan that is ends ─▶ begun
                └─ one cannot, or there is room for yet others ─▶ dismissed

Whether they are ready decides how long a move pauses, and nothing else: a life begins with other workers where it has to.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any

from statefun_runtime.core.checkpoints.manifest import ObjectId
from statefun_runtime.core.cluster.plan import Plan
from statefun_runtime.core.cluster.troubles import worker_lost
from statefun_runtime.engine.cluster.standby import standby_request
from statefun_runtime.ports.team import Hired, Workplace

_ROUNDS_MAX = 4
# What is still to be done in the pause takes less than a round of so long.
_SHORT_S = 0.3


class Preparation:
    """The workers of a plan to come; no other preparation, and no life, is called by its `name`."""

    def __init__(self, workplace: Workplace, plan: Plan, name: str) -> None:
        self._workplace = workplace
        self._name = name
        self._plan = plan
        self._hired: dict[int, Hired] = {}

    async def run(self, last_complete: Callable[[], ObjectId]) -> None:
        """Have the workers of the plan stand by, near to the last complete checkpoint.

        Raise UnavailableError if one cannot be had, or cannot read what it needs.
        """
        requests = {one.slot: standby_request(one, self._name) for one in self._plan.members}
        self._hired = await self._workplace.hire(requests)
        loop = asyncio.get_running_loop()
        for _ in range(_ROUNDS_MAX):
            began_s = loop.time()
            await self._reach(last_complete())
            if loop.time() - began_s < _SHORT_S:
                return

    async def _reach(self, manifest: ObjectId) -> None:
        self.follow(manifest)
        for slot, hired in self._hired.items():
            async with aclosing(hired.pipe.heard()) as lines:
                said = json.loads(await anext(lines, b"{}"))
            if said.get("prepared") != manifest:
                raise worker_lost(f"worker {slot} to come: {said.get('unprepared', 'it is gone')}")

    def follow(self, manifest: ObjectId) -> None:
        """Have all go on to a later checkpoint; what they answer is not waited for."""
        for hired in self._hired.values():
            hired.pipe.say({"prepare": manifest})

    def begin(self, plan: Plan, requests: Mapping[int, dict[str, Any]]) -> dict[int, Hired] | None:
        """Have their lives begin, if they stand by for this plan where its workers sit; else they are dismissed."""
        numbers = {slot: hired.number for slot, hired in self._hired.items()}
        if plan != self._plan or not self._workplace.keeps(numbers):
            self.dismiss()
            return None
        for slot, hired in self._hired.items():
            hired.pipe.say({"live": requests[slot]})
        return self._hired

    def dismiss(self) -> None:
        """Nobody needs them any more."""
        for hired in self._hired.values():
            self._workplace.kill(hired.number)
        self._hired = {}
