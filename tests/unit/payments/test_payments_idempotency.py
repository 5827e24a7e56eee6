"""A claim: who may do what with a key that was used before."""

from datetime import timedelta

import pytest

from lib.errors import Malformed
from lib.ids import new_id
from payments_svc.domain.idempotency import (
    Claim,
    ClaimStatus,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    InvalidIdempotencyKey,
    Step,
    body_hash,
)
from tests.fakes.payments import NOON

PATIENCE = timedelta(seconds=10)
USER = new_id()


def claim(key="key-1", body=None):
    return Claim.open(
        user_id=USER,
        operation="create_payment",
        key=key,
        body=body or {"amount": 1000},
        attempt_id=new_id(),
        payment_id=new_id(),
        now=NOON,
    )


def admit(held, asked=None, *, after=timedelta(0), redelivered=False):
    return held.admit(asked or claim(), now=NOON + after, patience=PATIENCE, redelivered=redelivered)


@pytest.mark.parametrize("key", ["k", "!", "~", '"quoted"', "k" * 255, "0190c2f4-7b5a-7c3e-8d2f-1a2b3c4d5e6f"])
def test_visible_ascii_makes_a_key(key):
    assert claim(key).key == key


@pytest.mark.parametrize("key", ["", " ", "a b", "k" * 256, "k\n", "\tk", "ключ", "k\x7f", None, 5, ["k"]])
def test_nothing_else_does(key):
    with pytest.raises(InvalidIdempotencyKey):
        claim(key)


def test_the_hash_does_not_depend_on_the_order():
    assert body_hash({"a": 1, "b": {"c": "x", "d": None}}) == body_hash({"b": {"d": None, "c": "x"}, "a": 1})


@pytest.mark.parametrize("other", [{"a": 2}, {"a": "1"}, {"a": 1, "b": None}, {"a": True}, {"b": 1}, {"a": [1]}])
def test_the_hash_depends_on_everything_else(other):
    assert body_hash({"a": 1}) != body_hash(other)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
def test_what_is_no_json_is_refused(value):
    with pytest.raises(Malformed):
        body_hash({"a": value})


@pytest.mark.parametrize("status", ClaimStatus)
def test_another_content_is_refused_whatever_became_of_the_first(status):
    held = claim()
    held.status = status
    with pytest.raises(IdempotencyKeyReused):
        admit(held, claim(body={"amount": 999}), after=timedelta(days=400))


def test_while_the_first_is_running_the_next_has_to_wait():
    with pytest.raises(IdempotencyInProgress) as refusal:
        admit(claim(), after=PATIENCE - timedelta(microseconds=1))
    assert refusal.value.details == {"retry_after": 1}


def test_the_next_completes_what_a_dead_process_left():
    assert admit(claim(), after=PATIENCE) is Step.COMPLETE


def test_a_clock_that_was_set_back_does_not_keep_the_next_waiting_for_ever():
    with pytest.raises(IdempotencyInProgress):
        admit(claim(), after=-PATIENCE)
    assert admit(claim(), after=-PATIENCE - timedelta(microseconds=1)) is Step.COMPLETE


def test_a_redelivery_completes_at_once():
    assert admit(claim(), redelivered=True) is Step.COMPLETE


def test_what_is_done_is_replayed():
    held = claim()
    held.finish({"status": "succeeded"}, NOON)
    assert admit(held) is Step.REPLAY
    assert admit(held, redelivered=True) is Step.REPLAY


def test_what_was_released_begins_again():
    held = claim()
    held.release()
    assert admit(held) is Step.BEGIN


def test_only_the_last_to_work_on_it_writes_the_result():
    held = claim()
    assert held.is_held_by(1)
    held.resume(NOON + PATIENCE)
    assert not held.is_held_by(1)
    assert held.is_held_by(2)
    held.release()
    assert not held.is_held_by(2)


def test_whoever_takes_it_over_gets_as_much_time():
    held = claim()
    held.resume(NOON + PATIENCE)
    with pytest.raises(IdempotencyInProgress):
        admit(held, after=PATIENCE * 1.5)


def test_a_refund_takes_the_place_of_the_one_that_was_not_executed():
    held = claim()
    held.refund_id = first = new_id()
    held.resume(NOON)
    assert held.refund_id == first
    second = new_id()
    held.resume(NOON, refund_id=second)
    assert held.refund_id == second


def test_an_answer_is_kept_for_its_time():
    held = claim()
    day = timedelta(days=1)
    assert held.kept_answer(NOON, day) is None
    held.finish({"status": "succeeded"}, NOON)
    assert held.kept_answer(NOON + day - timedelta(seconds=1), day) == {"status": "succeeded"}
    assert held.kept_answer(NOON + day, day) is None
