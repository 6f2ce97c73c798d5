"""Every row of docs/reference/failures.md is shown by a test; this says which."""

import re

import pytest

from tests.support.provisions import ROOT

BREAKS = "test_nothing_of_a_reply_that_cannot_be_applied_whole_is_applied"
COUNTED = "test_a_failed_attempt_is_counted_by_cause_and_made_again"
SHOWN_BY = {
    "endpoint cannot be reached": "test_an_endpoint_that_is_down_opens_its_circuit_and_nobody_is_parked",
    "any failure but": "test_an_endpoint_that_refuses_everyone_costs_nothing",
    "one address fails and no other": "test_who_may_fail_for_its_endpoint_is_tried_every_few_seconds_and_not_given_up",
    "five addresses or more": "test_an_endpoint_that_refuses_everyone_costs_nothing",
    "an address fails again": "test_twenty_poisoned_addresses_are_parked_while_others_succeed_now_and_then",
    "429, or 503": "test_what_is_asked_for_later_is_sent_later_and_never_given_up",
    "413, several": "test_a_request_that_is_too_large_is_halved_at_once",
    "the budget is spent": "test_a_letter_names_the_error_of_the_function_and_no_attempt_begins_without_time",
    "… of one invocation, and its reply": "test_skip_drops_the_one_invocation_that_fails_and_the_others_go_on",
    "… of one invocation, and its batch": "test_batches_that_fail_for_one_of_their_invocations_do_not_stop_their_endpoint",
    "… of one invocation, and others": "test_twenty_poisoned_addresses_are_parked_while_others_succeed_now_and_then",
    "… of one invocation, and none": "test_who_may_fail_for_its_endpoint_is_tried_every_few_seconds_and_not_given_up",
    "one address fails alone, `onFailure: park`": "test_parked_addresses_are_listed_skipped_and_released_by_command_also_after_a_restart",
    "one address fails alone, `onFailure: dead-letter`": "test_a_dead_letter_is_replayed_once_however_often_it_is_asked_for",
    "one address fails alone, `onFailure: skip`": "test_skip_drops_the_one_invocation_that_fails_and_the_others_go_on",
    "one address fails alone, `onFailure: fail`": "test_a_worker_told_to_fail_stops_cleanly_and_goes_on_when_the_function_is_mended",
    "one invocation of a large batch fails": "test_one_poisoned_invocation_of_a_large_batch_is_found_in_few_attempts",
    "a dead letter is refused": "test_a_dead_letter_that_its_egress_refuses_parks_the_address_and_says_why",
    "a kept-alive connection": "test_a_stale_connection_costs_no_attempt",
    "status other than 2xx": COUNTED,
    "`okhttp`: nothing comes": "test_nothing_for_as_long_as_read_says_is_a_timeout",
    "`okhttp`: redirected": "test_redirects_in_a_circle_end",
    "a redirect that is not followed": COUNTED,
    "the server's certificate is not good": "test_a_certificate_that_is_not_good_is_an_endpoint_that_cannot_be_reached",
    "the server refuses the worker's certificate": "test_what_a_server_says_against_the_worker_s_certificate_is_told",
    "a certificate, key or header's file": "test_a_new_certificate_that_cannot_be_used_is_logged_once_and_the_old_one_stays",
    "content type is not": COUNTED,
    "reply larger than": COUNTED,
    "an encoded reply": "test_both_transports_take_whole_bodies_and_no_others",
    "reply is no proper HTTP": COUNTED,
    "no reply within": "test_a_function_that_hangs_is_parked_after_its_budget_and_others_go_on",
    "reply names a function type": BREAKS,
    "reply names an egress": BREAKS,
    "egress record of the wrong type": BREAKS,
    "state that is not declared": BREAKS,
    "negative delay": BREAKS,
    "cancellation token in use": BREAKS,
    "the function asks again": "test_a_function_that_asks_again_for_what_it_was_sent_fails",
    "Kafka does not have the offset": "test_a_position_that_vanished_waits_alone_until_a_person_says_where_to_go_on",
    "a shard, or a place in it": "test_a_shard_that_vanished_waits_alone_until_a_person_says_where_to_go_on",
    "a topic of an ingress, or a stream": "test_a_topic_that_was_made_anew_between_two_runs_is_read_from_its_beginning",
    "Kafka record without key": "test_records_without_key_or_value_are_skipped_counted_and_named",
    "record in whose content": "test_records_that_a_router_cannot_send_anywhere_are_counted_and_passed",
    "the same with `forward`": "test_what_no_function_can_take_is_forwarded_and_replayed_when_one_can",
    "the same with `fail`": "test_an_ingress_told_to_fail_stops_the_worker_in_front_of_the_record",
    "PUT with a bad path": "test_malformed_requests_are_refused_with_a_reason_and_counted",
    "too much to do": "test_http_answers_503_when_memory_is_used_up_and_goes_on_later",
    "a checkpoint cannot be written": "test_what_a_failed_checkpoint_would_have_held_is_in_the_next",
    "a broker or Kinesis is away": "test_a_broker_that_restarts_while_the_worker_runs_costs_nothing",
    "the broker or Kinesis refuses a record": "test_a_record_that_the_broker_refuses_is_a_dead_letter_and_the_others_leave",
    "unpublished records use up": "test_what_a_broker_that_is_away_cannot_take_waits_on_disk_up_to_its_quota",
    "the disk of the HTTP ingress": "test_what_cannot_be_written_is_not_taken",
}


def rows() -> list[str]:
    text = (ROOT / "docs/reference/failures.md").read_text()
    cells = re.findall(r"^\| ([^|]+) \|", text, flags=re.M)
    return [cell for cell in cells if cell not in ("what", "what is seen")]


def defined() -> set[str]:
    sources = (path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    return {name for text in sources for name in re.findall(r"def (test_\w+)", text)}


@pytest.mark.parametrize("row", rows())
def test_a_row_of_the_table_of_failures_is_shown_by_a_test(row: str):
    shown_by = [test for beginning, test in SHOWN_BY.items() if row.startswith(beginning)]
    assert shown_by, f"which test shows this? {row}"
    assert shown_by[0] in defined()
