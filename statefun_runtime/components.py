"""What a package imports to bring ingresses and egresses of its own; see docs/contributing/components.md.

Only what is named here stays as it is from one release to the next.
"""

from statefun_runtime.config.module.ids import read_id
from statefun_runtime.config.module.kinds import ComponentKind
from statefun_runtime.config.reading.draft import Role
from statefun_runtime.config.reading.fields import Fields, Shape
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.messages import IngressEncoder
from statefun_runtime.core.model.metrics import Metric
from statefun_runtime.core.model.metrics import MetricKind as MetricKind
from statefun_runtime.core.model.position import Position
from statefun_runtime.core.outboxes.direct_outbox import DirectOutbox, Queue
from statefun_runtime.core.outboxes.form import RecordForm
from statefun_runtime.core.outboxes.keyed_outbox import Item, KeyedOutbox, Unloaded
from statefun_runtime.core.partition.backlog import Function
from statefun_runtime.ports.contexts import EgressBuildContext, IngressBuildContext
from statefun_runtime.ports.egress import EgressSink, Listens, RecordRefused
from statefun_runtime.ports.ingress import IngressContext, IngressSource
from statefun_runtime.ports.module import BuildsEgress, BuildsIngress

__all__ = [
    "BuildsEgress",
    "BuildsIngress",
    "ComponentKind",
    "DirectOutbox",
    "EgressBuildContext",
    "EgressSink",
    "Fields",
    "Function",
    "IngressBuildContext",
    "IngressContext",
    "IngressEncoder",
    "IngressSource",
    "Item",
    "KeyedOutbox",
    "Listens",
    "Metric",
    "MetricKind",
    "Position",
    "Queue",
    "RecordForm",
    "RecordRefused",
    "Role",
    "Shape",
    "TypeName",
    "Unloaded",
    "read_id",
]
