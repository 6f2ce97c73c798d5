"""The plan of a life that several workers share."""

from dataclasses import replace

from statefun_runtime.core.checkpoints.commits import History
from statefun_runtime.core.cluster.plan import assign
from statefun_runtime.engine.beginning import Beginning


def planned(beginning: Beginning, count: int) -> Beginning:
    """Return where a life of so many workers begins, with a plan near to that of the life before."""
    start, entries = beginning.start, beginning.history.entries[:-1]
    before = History(entries).last_started
    plan = assign(
        start.started.key_group_count, range(count), before.plan if before is not None else None
    )
    started = replace(start.started, members=plan.members)
    return replace(
        beginning, start=replace(start, started=started), history=History((*entries, started))
    )
