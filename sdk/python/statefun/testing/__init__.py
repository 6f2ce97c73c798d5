"""Test functions as an application, in this process and in virtual time: no broker, no server, no waiting.

    app = Application(functions, egresses=["shop/receipts"])
    app.send("shop/cart", "alice", "one apple")
    app.advance(minutes=5)
    assert app.state("shop/cart", "alice")["count"] == 1
    assert app.egress("shop/receipts")[0].as_type(StringType) == "1 apple"

It is the worker's own engine that runs, so what holds here holds there: order, exactly-once, expiry,
delayed messages, what becomes of functions that fail. It comes with `pip install statefun-runtime`.
"""

from statefun.testing.application import Application
from statefun.testing.records import EgressRecord

__all__ = ["Application", "EgressRecord"]
