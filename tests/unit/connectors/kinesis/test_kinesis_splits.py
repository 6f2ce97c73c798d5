"""What an ingress remembers of its shards."""

from statefun_runtime.connectors.kinesis.splits import Resolved, Splits
from statefun_runtime.core.model.address import TypeName


def test_what_was_read_to_its_end_while_its_stream_was_looked_into_is_not_lost():
    splits = Splits(TypeName("t", "in"), {"s/one": {"sequence": "5"}, "s/two": {"sequence": "6"}})
    splits.finish("s/one")

    splits.take(Resolved("s", [], {}, lost={"s/one": "it is gone", "s/two": "it is gone"}))

    assert splits.positions() == {
        "s/one": "finished",
        "s/two": {"sequence": "6", "lost": "it is gone"},
    }
