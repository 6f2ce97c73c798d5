"""The engine's numbers as metrics: StateFun's metrics of each function type under their names, and ours."""

from collections import Counter
from collections.abc import Iterator

from statefun_runtime.core.model.metrics import Metric, MetricKind
from statefun_runtime.core.partition.backlog import Function
from statefun_runtime.engine.checkpoints.checkpointing import Checkpointing
from statefun_runtime.engine.dispatch.dispatcher import Dispatcher
from statefun_runtime.engine.state.states import States
from statefun_runtime.engine.status import set_aside_by_function
from statefun_runtime.engine.worker import Parts

_FUNCTIONS = "statefun_functions_"


def engine_metrics(parts: Parts) -> Iterator[Metric]:
    """Yield all numbers of a worker, as of now."""
    set_aside = set_aside_by_function(parts.exchange.partitions)
    for dispatcher in parts.exchange.dispatchers:
        yield from _function_samples(dispatcher.function, dispatcher, set_aside)
    yield _gauge(
        "statefun_waiting_bytes", "bytes of messages that wait in memory", parts.load.waiting_bytes
    )
    for partition in parts.exchange.partitions:
        yield Metric(
            "statefun_partition_backlog",
            MetricKind.GAUGE,
            "messages that wait or are out, by partition",
            partition.waiting,
            {"partition": str(partition.number)},
        )
    yield _gauge(
        "statefun_delayed_messages", "delayed messages that are not due", len(parts.delays)
    )
    yield _gauge("statefun_addresses_in_memory", "addresses in memory", parts.states.cache.count)
    yield _gauge(
        "statefun_ingress_open",
        "1 while new records are welcome",
        float(parts.ingress_context.is_open()),
    )
    yield Metric(
        "statefun_ingress_held_back",
        MetricKind.COUNTER,
        "how often ingress was held back",
        parts.ingress_context.closed_times,
    )
    for ingress_id, ingress in parts.ingresses.items():
        for metric in ingress.metrics():
            yield _labelled(metric, ingress=ingress_id)
    for egress_id, one in parts.egresses.items():
        for metric in one.metrics():
            yield _labelled(metric, egress=egress_id)
    for egress, count in parts.outcomes.letters_sent.items():
        doc = "dead letters of functions and ingresses"
        yield Metric(
            "statefun_dead_letters", MetricKind.COUNTER, doc, count, {"egress": str(egress)}
        )
    yield from parts.channels()
    yield from _checkpoint_samples(parts.checkpointer, parts.states)


def _checkpoint_samples(checkpointer: Checkpointing, states: States) -> Iterator[Metric]:
    for name, doc, count in (
        ("completed", "complete checkpoints", checkpointer.completed_count),
        ("aborted", "checkpoints that failed and were merged", checkpointer.aborted_count),
    ):
        yield Metric(f"statefun_checkpoints_{name}", MetricKind.COUNTER, doc, count)
    last = checkpointer.last_complete
    yield _gauge(
        "statefun_checkpoint_epoch",
        "epoch of the last complete checkpoint",
        last.epoch if last else 0,
    )
    yield _gauge(
        "statefun_checkpoint_age_seconds",
        "seconds for which something has been in no complete checkpoint, at most",
        checkpointer.age_s(),
    )
    yield _gauge(
        "statefun_unsaved_bytes", "bytes that are in no complete checkpoint", states.unsaved_bytes
    )
    for name, doc, histogram in (
        ("pause_ms", "milliseconds the loop stood still for a cut", checkpointer.pause_ms),
        ("duration_ms", "milliseconds from trigger to complete", checkpointer.duration_ms),
    ):
        yield Metric(f"statefun_checkpoint_{name}", MetricKind.HISTOGRAM, doc, histogram)


def _function_samples(
    function: Function, dispatcher: Dispatcher, set_aside: Counter[Function]
) -> Iterator[Metric]:
    counts = function.counts
    labels = {"namespace": function.type.namespace, "name": function.type.name}
    threshold = function.endpoint.batch_threshold
    blocked = sum(
        1 for backlog in function.backlogs.values() if 0 < threshold <= len(backlog.waiting)
    )
    gauges: tuple[tuple[str, str, float], ...] = (
        ("numBlockedAddress", "addresses with maxNumBatchRequests waiting", blocked),
        ("inflightAsyncOps", "requests that are out", dispatcher.in_flight),
        ("numBacklog", "messages that wait or are out", function.waiting),
        ("busyAddresses", "addresses with work", function.busy),
        ("parkedAddresses", "addresses set aside after failing alone", set_aside[function]),
        ("endpointDown", "1 while the endpoint fails for everyone", function.is_down),
    )
    for name, doc, value in gauges:
        yield Metric(_FUNCTIONS + name, MetricKind.GAUGE, doc, value, labels)
    opened = function.circuit.opened_times
    counters = (
        ("in", "messages delivered to the function", function.received),
        ("outLocal", "messages sent to functions of this worker", counts.out_local),
        ("outRemote", "messages sent to functions of other workers", 0),
        ("outEgress", "messages sent to egresses", counts.out_egress),
        ("requests", "requests sent, every attempt counted", counts.requests),
        ("bundles", "requests that carried several addresses", counts.bundles),
        ("bundledAddresses", "addresses that they carried", counts.bundled),
        ("skippedInvocations", "invocations given up and dropped", counts.skipped),
        ("deadLetters", "invocations given up as dead letters", counts.dead_letters),
        ("circuitOpened", "how often the endpoint began to fail for everyone", opened),
    )
    for name, doc, count in counters:
        yield Metric(_FUNCTIONS + name, MetricKind.COUNTER, doc, count, labels)
    for cause, count in counts.failures.items():
        yield Metric(
            _FUNCTIONS + "remoteInvocationFailures",
            MetricKind.COUNTER,
            "failed attempts by cause",
            count,
            {**labels, "cause": cause},
        )
    yield Metric(
        _FUNCTIONS + "remoteInvocationLatency",
        MetricKind.HISTOGRAM,
        "milliseconds from request to reply, every attempt counted",
        counts.latency_ms,
        labels,
    )


def _gauge(name: str, doc: str, value: float) -> Metric:
    return Metric(name, MetricKind.GAUGE, doc, value)


def _labelled(metric: Metric, **labels: str) -> Metric:
    return Metric(metric.name, metric.kind, metric.doc, metric.value, {**labels, **metric.labels})
