"""How a worker's status is printed."""

from typing import Any

from statefun_runtime.cli.asking.show import status_lines

ADDRESS = {
    "function": "shop.fns/order",
    "id": "12\n34",
    "endpoint": "http://shop:8000/statefun",
    "attempts": 12,
    "next_try_s": 4.25,
    "waiting": 3,
    "error": "the endpoint answered with status 500: ValueError: no such customer",
}
FUNCTION = {
    "function": "shop.fns/order",
    "endpoint": "http://shop:8000/statefun",
    "state": "closed",
    "error": "",
    "down_s": 0.0,
    "next_probe_s": None,
    "succeeded_s": 0.1,
    "in_flight": 2,
    "waiting": 7,
    "busy": 3,
    "parked": 1,
}
DOWN = {
    **FUNCTION,
    "function": "shop.fns/cart",
    "state": "open",
    "error": "cannot connect to shop:8001",
    "down_s": 31.4,
    "next_probe_s": 2.0,
}
ANSWER: dict[str, Any] = {
    "not_ready": [],
    "held_back": "",
    "checkpoints": {"epoch": 17, "age_s": 0.2, "completed": 17, "aborted": 0, "trouble": ""},
    "ingresses": [{"id": "shop.io/orders", "numbers": {"records": 1234567, "lag": 0}}],
    "functions": [FUNCTION, DOWN],
    "failing": {
        "total": 2,
        "addresses": [{**ADDRESS, "failing_s": 10.2, "doing": "is tried again after a pause"}],
    },
    "parked": {"total": 1, "parked": [{**ADDRESS, "parked_s": 61.0, "next_try_s": 0.0}]},
    "egresses": [{"id": "shop.io/receipts", "numbers": {"records": 12, "waiting": 0}}],
}


def test_a_status_says_what_is_stuck_since_when_why_and_what_happens_next():
    assert (
        "\n".join(status_lines(ANSWER))
        == r"""worker       ready
checkpoints  epoch 17 is complete; 0 failed
ingress      shop.io/orders  records 1234567, lag 0
function     shop.fns/order  http://shop:8000/statefun  7 messages wait, 2 requests are out
function     shop.fns/cart  http://shop:8000/statefun  DOWN for 31 s
             cannot connect to shop:8001
             it is asked again in 2.0 s; 7 messages wait, 2 requests are out
failing      2 addresses
             shop.fns/order/12\n34
                 for 10 s, 12 attempts, next try in 4.2 s, 3 invocations wait
                 the endpoint answered with status 500: ValueError: no such customer
             … and 1 more; --limit shows more of them
parked       1 address
             shop.fns/order/12\n34
                 for 61 s, 12 attempts, is being tried now, 3 invocations wait
                 the endpoint answered with status 500: ValueError: no such customer
egress       shop.io/receipts  records 12, waiting 0"""
    )


def test_a_worker_in_trouble_says_so_first():
    saving = {"epoch": 0, "age_s": 75.0, "completed": 0, "aborted": 3, "trouble": "no space"}
    answer = {
        **ANSWER,
        "not_ready": ["checkpoints cannot be written: no space"],
        "held_back": "600 MB are in no complete checkpoint",
        "checkpoints": saving,
        "functions": [],
    }
    assert list(status_lines(answer))[:5] == [
        "worker       checkpoints cannot be written: no space",
        "checkpoints  none is complete yet; 3 failed; what was done in the last 75 s is in none; "
        "they cannot be written: no space",
        "held back    600 MB are in no complete checkpoint",
        "ingress      shop.io/orders  records 1234567, lag 0",
        "functions    none was called yet",
    ]
