"""What an ingress or egress is given when it is made, as at the first start of a worker."""

from collections.abc import Mapping
from pathlib import Path

from statefun_runtime.core.checkpoints.commits import History, Started
from statefun_runtime.core.checkpoints.manifest import ObjectId
from statefun_runtime.ports.contexts import EgressBuildContext, IngressBuildContext
from statefun_runtime.ports.egress import nobody_is_told
from statefun_runtime.ports.ingress import IngressContext
from tests.fakes.off_loop import AT_ONCE
from tests.fakes.rows import DictRows


def ingress_context(
    ingress: IngressContext, folder: Path, restored: Mapping[str, int] | None = None
) -> IngressBuildContext:
    return IngressBuildContext(
        ingress=ingress,
        restored=restored or {},
        folder=folder,
        host="127.0.0.1",
        connections_max=100,
        off_loop=AT_ONCE,
        is_ours=True,
        restarts={},
    )


def egress_context(folder: Path) -> EgressBuildContext:
    started = Started("application", 1, "nonce", "lineage", 0, None, None, 128)
    return EgressBuildContext(
        started=started,
        history=History((started,)),
        first_epoch=1,
        owner="standalone",
        folder=folder,
        host="127.0.0.1",
        connections_max=100,
        rows=DictRows(),
        key_group_count=128,
        read_outbox=_nothing_is_stored,
        saved=_at_once_saved,
        tell_refused=nobody_is_told,
        progress=None,
        may_republish=False,
    )


async def _nothing_is_stored(object_id: ObjectId) -> list[bytes]:
    raise AssertionError(f"{object_id} is nowhere")


async def _at_once_saved() -> None:
    """Everything is in a checkpoint already."""
