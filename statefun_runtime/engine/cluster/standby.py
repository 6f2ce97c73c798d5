"""A worker that stands by for a plan to come: it opens what it will go on from while others still have it.

    hired ─▶ prepare n ─▶ the store of n ─▶ prepared ─▶ prepare n + k ─▶ what has come since ─▶ prepared ─▶ live

Nothing that others can see happens before its life begins. What it has opened is brought up to the checkpoint that its
life begins at, whichever that is.
"""

from typing import Any

from statefun_runtime.core.checkpoints.manifest import KeyGroups
from statefun_runtime.core.cluster.plan import Member
from statefun_runtime.engine.beginning import Ports
from statefun_runtime.engine.checkpoints.prepared import PreparedStore
from statefun_runtime.engine.checkpoints.recovery import read_manifest
from statefun_runtime.engine.cluster.pipe_leader import PipeLeader
from statefun_runtime.errors import StatefunError


def stands_by(request: dict[str, Any]) -> bool:
    """Return whether a worker is asked to stand by."""
    return "key_groups" in request


def standby_request(member: Member, name: str) -> dict[str, Any]:
    """Return what is asked of a worker that is to stand by; `name` stands where that of a life will, and is the same for all of a plan."""
    groups = member.key_groups
    return {"slot": member.slot, "nonce": name, "key_groups": [groups.first, groups.end]}


async def stand_by(
    leader: PipeLeader, ports: Ports, request: dict[str, Any]
) -> tuple[dict[str, Any], PreparedStore]:
    """Prepare for checkpoints until a life begins; return what is asked of the worker in it, and its store."""
    member = Member(request["slot"], KeyGroups(*request["key_groups"]))
    store = PreparedStore(ports)
    while "live" not in (said := await leader.ahead()):
        try:
            manifest = await read_manifest(ports.checkpoints, said["prepare"])
            await store.reach(manifest.part_for(member.owner, member.key_groups))
        except StatefunError as error:
            leader.say({"unprepared": error.line})
        else:
            leader.say({"prepared": said["prepare"]})
    return {**request, **said["live"]}, store
