import pytest

from tests.support.http.faults import OK, Fault, FaultKind, parse_plan


def kinds(plan: str, *bodies: bytes) -> list[str]:
    parsed = parse_plan(plan)
    return [str(parsed.next(body)) for body in bodies]


def test_no_plan_means_no_faults():
    assert parse_plan("").next(b"anything") == OK


def test_a_fault_happens_once_unless_told_otherwise():
    assert kinds("lost-reply", b"", b"") == ["lost-reply", "ok"]


def test_rules_are_used_up_in_turn():
    assert kinds("2*status:503, hang", b"", b"", b"", b"") == [
        "status:503",
        "status:503",
        "hang",
        "ok",
    ]


def test_a_fault_for_ever_can_have_a_period():
    assert kinds("every3*reset", *[b""] * 6) == ["ok", "ok", "reset", "ok", "ok", "reset"]


def test_a_marker_limits_a_fault_to_the_bodies_that_hold_it():
    assert kinds("always*status@bob", b"to bob", b"to joe", b"bob") == [
        "status:500",
        "ok",
        "status:500",
    ]


def test_a_detail_may_hold_spaces_and_parameters():
    plan = parse_plan("content-type:application/octet-stream; charset=utf-8")

    assert plan.next(b"") == Fault(
        FaultKind.CONTENT_TYPE, "application/octet-stream; charset=utf-8"
    )


@pytest.mark.parametrize("text", ["explode", "status:many", "-1*hang", "2*"])
def test_a_plan_that_cannot_be_read_is_refused(text: str):
    with pytest.raises(ValueError, match=r".+"):
        parse_plan(text)
