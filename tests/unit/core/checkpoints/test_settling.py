"""What has to leave before a life may take its first checkpoint."""

from dataclasses import replace

from statefun_runtime.core.checkpoints.manifest import (
    ANY_OWNER,
    Manifest,
    ObjectId,
    Outbox,
    Part,
    StoredObject,
)
from statefun_runtime.core.checkpoints.settling import before_any_other, have_left
from statefun_runtime.core.cluster.plan import Plan, alone, assign

LEFT = Outbox(
    "shop/out",
    7,
    2,
    StoredObject(ObjectId("o"), 1),
    is_transactional=True,
    owner="worker-1",
)
THREE = assign(12, [0, 1, 2])


def manifest_of(plan: Plan) -> Manifest:
    parts = tuple(Part(member.owner, member.key_groups, (), ()) for member in plan.members)
    return Manifest("app", 7, 1, "line", 0, 12, 8, {}, parts, (LEFT,))


def test_where_nobodys_range_has_moved_nothing_is_waited_for():
    assert before_any_other(manifest_of(THREE), THREE, [LEFT]) == ()
    assert before_any_other(None, THREE, []) == ()


def test_where_ranges_have_moved_all_that_waits_for_its_epoch_comes_first():
    at_least_once = replace(LEFT, is_transactional=False)

    assert before_any_other(manifest_of(THREE), alone(12), [LEFT, at_least_once]) == (LEFT,)
    assert before_any_other(manifest_of(alone(12)), THREE, [LEFT]) == (LEFT,)


def test_it_has_left_when_one_of_all_knows_that_its_owner_has_published_its_epoch():
    ours, theirs = {"worker-0": {"shop/out": 9}}, {"worker-1": {"shop/out": 6}}
    assert not have_left([LEFT], [ours, theirs])
    assert have_left([LEFT], [ours, {"worker-1": {"shop/out": 7}}])
    assert have_left([], [])


def test_what_an_operator_has_given_up_is_not_waited_for():
    assert have_left([LEFT], [{ANY_OWNER: {"shop/out": 7}}])
