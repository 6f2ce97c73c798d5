"""A process's membership of its cluster, on whatever clients reach the brokers: it comes back when it was cut off.

topics made ─▶ Node ─▶ leaves
   ▲            └─ the brokers are away for too long ─▶ a pause ─┐
   └─────────────────────────────────────────────────────────────┘
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from statefun_runtime.adapters.team.far_workplace import FarWorkplace
from statefun_runtime.app.cluster.node import Node
from statefun_runtime.connectors.kafka.client.clients import KafkaClients
from statefun_runtime.connectors.kafka.cluster.control import ControlTopic
from statefun_runtime.connectors.kafka.cluster.log import TopicLog
from statefun_runtime.connectors.kafka.cluster.topics import SLOTS_MAX, Brokers, inbox_ends
from statefun_runtime.core.cluster.troubles import no_leader
from statefun_runtime.engine.beginning import Beginning
from statefun_runtime.engine.cluster.planning import planned
from statefun_runtime.engine.stop import Stop
from statefun_runtime.errors import UnavailableError, first_of
from statefun_runtime.ports.cluster import ClusterPorts

log = logging.getLogger("statefun.cluster")

_AGAIN_S = 1.0

Join = Callable[[], Awaitable[Node]]


def cluster_ports(brokers: Brokers, clients: KafkaClients, *, key_group_count: int) -> ClusterPorts:
    """Return what a process needs of the brokers."""
    return ClusterPorts(
        make_control=lambda name: ControlTopic(brokers, name, clients),
        make_log=lambda: TopicLog(brokers, clients),
        inbox_ends=partial(inbox_ends, brokers, clients=clients),
        slots_max=min(SLOTS_MAX, key_group_count),
    )


def seated(beginning: Beginning, workplace: FarWorkplace) -> Beginning:
    """Return where a life begins, planned for the seats that there are; raise UnavailableError if there is none."""
    slots = workplace.seat()
    if not slots:
        raise no_leader("all processes are leaving")
    return planned(beginning, slots)


class Membership:
    """Has a process be part of its cluster until it is told to stop; `join` makes a Node, `again` is called before another."""

    def __init__(self, join: Join, stop: Stop, *, again: Callable[[], None]) -> None:
        self._join = join
        self._stop = stop
        self._again = again
        self._node: Node | None = None

    @property
    def node(self) -> Node:
        """The process as its cluster knows it; raise UnavailableError while it is cut off."""
        if self._node is None:
            raise no_leader("this process is cut off from its cluster")
        return self._node

    @property
    def restarts(self) -> int:
        """How often all have begun again, as far as this process has led them; a new lead counts anew."""
        return self._node.restarts if self._node is not None else 0

    async def run(self) -> None:
        """Be there until told to stop."""
        while not self._stop.is_asked:
            try:
                self._node = await self._join()
                await self._node.run()
            except* UnavailableError as group:
                await self._pause(first_of(group).line)
            finally:
                self._node = None

    async def _pause(self, why: str) -> None:
        log.error("%s; comes back in %.0f s", why, _AGAIN_S)
        self._again()
        try:
            async with asyncio.timeout(_AGAIN_S):
                await self._stop.asked()
        except TimeoutError:
            pass
