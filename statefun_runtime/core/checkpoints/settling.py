"""What has to leave before a life may take its first checkpoint.

A record of an address may wait under the name of one worker, and the next of the same address be published by another one,
since key groups have moved. The second is published once its checkpoint is complete, so there is none before the first has left.
"""

from collections.abc import Iterable

from statefun_runtime.core.checkpoints.manifest import ANY_OWNER, Confirmed, Manifest, Outbox
from statefun_runtime.core.cluster.plan import Plan


def before_any_other(
    manifest: Manifest | None, plan: Plan, outboxes: Iterable[Outbox]
) -> tuple[Outbox, ...]:
    """Return those outboxes, by egress and owner, behind which nothing of this plan may leave."""
    if manifest is None:
        return ()
    before = {part.owner: part.key_groups for part in manifest.parts}
    now = {member.owner: member.key_groups for member in plan.members}
    if all(now.get(owner) == key_groups for owner, key_groups in before.items()):
        return ()
    return tuple(outbox for outbox in outboxes if outbox.is_transactional)


def have_left(outboxes: Iterable[Outbox], known: Iterable[Confirmed]) -> bool:
    """Return whether somebody has told of each that it has left, or an operator has given it up."""
    told = list(known)
    return all(
        any(
            one.get(owner, {}).get(outbox.egress, 0) >= outbox.epoch
            for one in told
            for owner in (outbox.owner, ANY_OWNER)
        )
        for outbox in outboxes
    )
