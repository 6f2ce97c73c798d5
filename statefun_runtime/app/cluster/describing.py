"""What the leader of a cluster is asked: all that several workers are, and what the cluster is like."""

from typing import Any

from statefun_runtime.adapters.admin.admin_socket import Arguments, Command
from statefun_runtime.adapters.team.far_workplace import FarWorkplace
from statefun_runtime.app.team.asking import team_commands
from statefun_runtime.app.team.leader import Leader
from statefun_runtime.core.cluster.plan import Plan, assign, moved
from statefun_runtime.core.cluster.presence import Presence
from statefun_runtime.core.cluster.troubles import beginning_again
from statefun_runtime.errors import ConfigError
from statefun_runtime.ports.control import Control

COMMANDS = (
    *("status", "retry", "savepoint", "replay", "parked-list", "parked-release", "parked-skip"),
    *("cluster-status", "cluster-plan", "cluster-drain"),
)


def cluster_commands(
    leader: Leader, workplace: FarWorkplace, presence: Presence, control: Control, savepoints: str
) -> dict[str, Command]:
    """Return the commands by name."""

    async def status(arguments: Arguments) -> dict[str, Any]:
        return {"processes": _processes(workplace, presence), **_of_life(leader)}

    async def plan(arguments: Arguments) -> dict[str, Any]:
        current = _plan(leader)
        return {
            "members": [_member(workplace, current, slot) for slot in current.slots],
            "moves": _moves(workplace, current),
        }

    async def drain(arguments: Arguments) -> dict[str, Any]:
        name = str(arguments["process"])
        if name not in presence.present:
            raise ConfigError(
                f"there is no process '{name}' in the cluster",
                code="SF1143",
                hint=f"there are {', '.join(presence.present)}",
            )
        control.say(name, "leave")
        return {"process": name, "slots": list(presence.present[name].slots)}

    return {
        **team_commands(leader, savepoints),
        "cluster-status": status,
        "cluster-plan": plan,
        "cluster-drain": drain,
    }


def _processes(workplace: FarWorkplace, presence: Presence) -> list[dict[str, Any]]:
    return [
        {
            "process": name,
            "host": here.host,
            "pid": here.pid,
            "leads": name == presence.leader,
            "is_leaving": here.is_leaving,
            "seats": here.seats,
            "slots": [slot for slot, process in workplace.seating.items() if process == name],
            "stands_by": workplace.stands_by(here),
        }
        for name, here in presence.present.items()
    ]


def _of_life(leader: Leader) -> dict[str, Any]:
    life = leader.life
    if life is None:
        return {"workers": [], "restarts": leader.restarts, "checkpoints": None}
    checkpointer = life.checkpointer
    last = checkpointer.last_complete
    return {
        "workers": life.describe(),
        "restarts": leader.restarts,
        "checkpoints": {
            "epoch": last.epoch if last is not None else 0,
            "age_s": checkpointer.age_s(),
            "completed": checkpointer.completed_count,
            "aborted": checkpointer.aborted_count,
            "trouble": checkpointer.trouble,
        },
    }


def _plan(leader: Leader) -> Plan:
    if leader.life is None:
        raise beginning_again()
    return leader.life.plan


def _member(workplace: FarWorkplace, plan: Plan, slot: int) -> dict[str, Any]:
    key_groups = plan.member(slot).key_groups
    return {
        "worker": slot,
        "process": workplace.seating.get(slot, ""),
        "key_groups": [key_groups.first, key_groups.end],
        "is_home": slot == plan.home.slot,
    }


def _moves(workplace: FarWorkplace, plan: Plan) -> list[dict[str, Any]]:
    """Return how many key groups would get another owner without each process, and with one more seat."""
    count, slots = plan.key_group_count, plan.slots
    free = next(slot for slot in range(count + 1) if slot not in slots)
    moves: list[dict[str, Any]] = []
    if len(slots) < count:
        one_more = assign(count, [*slots, free], plan)
        moves.append({"what": "one more worker", "key_groups": moved(plan, one_more)})
    for process in dict.fromkeys(workplace.seating.values()):
        left = [slot for slot in slots if workplace.seating.get(slot) != process]
        if left:
            without = moved(plan, assign(count, left, plan))
            moves.append({"what": f"without {process}", "key_groups": without})
    return moves
