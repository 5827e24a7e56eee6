"""Signatures over messages: what passes, what does not, and that Stripe's own package agrees."""

from datetime import UTC, datetime, timedelta

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from payments_svc.domain.notice import InvalidSignature
from payments_svc.infrastructure.signatures import LONGEST_HEADER, MOST_ITEMS, TOLERANCE, sign, verify

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
SECRET, OTHER = "whsec_one", "whsec_two"
BODY = b'{"id":"evt_1"}'
SECOND = timedelta(seconds=1)


def header(body=BODY, *secrets, at=NOW):
    return sign(body, secrets or (SECRET,), at)


def refused(signature, body=BODY, secrets=(SECRET,), now=NOW):
    with pytest.raises(InvalidSignature):
        verify(body, signature, secrets, now)
    return True


def test_what_is_signed_passes():
    verify(BODY, header(), [SECRET], NOW)


@given(st.binary(max_size=2000), st.text(min_size=1, max_size=50).filter(lambda each: each.isprintable()))
def test_any_bytes_pass_as_they_are_and_not_when_one_is_changed(body, secret):
    signature = header(body, secret)
    verify(body, signature, [secret], NOW)
    assert refused(signature, body + b" ", [secret])
    if body:
        assert refused(signature, bytes([body[0] ^ 1]) + body[1:], [secret])


def test_other_bytes_of_the_same_json_do_not_pass():
    assert refused(header(b'{"a":1}'), b'{"a": 1}')


def test_another_secret_does_not_pass():
    assert refused(header(), secrets=[OTHER])
    assert refused(header(), secrets=[])


@pytest.mark.parametrize("direction", [-1, 1])
def test_the_time_may_differ_by_five_minutes_in_both_directions(direction):
    at = NOW + direction * TOLERANCE
    verify(BODY, header(at=at), [SECRET], NOW)
    assert refused(header(at=at + direction * SECOND))


def test_the_time_is_signed():
    old = header(at=NOW - timedelta(hours=1))
    assert refused(old.replace(str(int((NOW - timedelta(hours=1)).timestamp())), str(int(NOW.timestamp()))))


def test_while_a_secret_is_replaced_both_sides_may_change_first():
    both = header(BODY, SECRET, OTHER)
    assert both.count("v1=") == 2
    for secret in (SECRET, OTHER):
        # The sender signs with both; the receiver knows one.
        verify(BODY, both, [secret], NOW)
        # The sender signs with one; the receiver knows both.
        verify(BODY, header(BODY, secret), [OTHER, SECRET], NOW)


def test_what_else_stands_in_the_header_does_not_matter():
    time, digest = header().split(",")
    verify(BODY, f"v0=old, {time} ,{digest},v1=nothing,v2={'0' * 64},x", [SECRET], NOW)


@pytest.mark.parametrize(
    "damage",
    [
        lambda time, digest: "",
        lambda time, digest: " ",
        lambda time, digest: time,
        lambda time, digest: digest,
        lambda time, digest: f"{time};{digest}",
        lambda time, digest: f"{time},{time},{digest}",
        lambda time, digest: f"t=,{digest}",
        lambda time, digest: f"t=-1,{digest}",
        lambda time, digest: f"t=1e9,{digest}",
        lambda time, digest: f"t={'9' * 400},{digest}",
        lambda time, digest: f"{time}.0,{digest}",
        lambda time, digest: f"t=\u0661\u0662\u0663,{digest}",
        lambda time, digest: f"{time},{digest.upper()}",
        lambda time, digest: f"{time},{digest[:-1]}",
        lambda time, digest: f"{time},{digest}0",
        lambda time, digest: f"{time},v1=",
        lambda time, digest: f"{time},v0{digest[2:]}",
        lambda time, digest: f"{time},{digest[:-1]}\u00e9",
        lambda time, digest: f"{time},{digest},\udcff",
        lambda time, digest: f"{time},{digest},\0" + "x" * LONGEST_HEADER,
        lambda time, digest: f"{time},{digest}" + ",x" * MOST_ITEMS,
        lambda time, digest: "t" * 1_000_000,
    ],
)  # fmt: skip
def test_garbage_is_refused_and_nothing_else(damage):
    assert refused(damage(*header().split(",")))


def test_the_message_says_nothing_of_the_secret():
    with pytest.raises(InvalidSignature) as caught:
        verify(BODY, header(), [OTHER], NOW)
    assert OTHER not in str(caught.value)
    assert caught.value.code == "invalid_signature"


# --- Stripe's package as a judge that is not ours ---


def stripe_verifies(signature, secret):
    return stripe.WebhookSignature.verify_header(BODY.decode(), signature, secret, tolerance=300)


def test_stripe_takes_what_we_sign():
    # It looks at the clock itself.
    now = datetime.now(UTC)
    assert stripe_verifies(sign(BODY, [SECRET], now), SECRET)
    assert stripe_verifies(sign(BODY, [OTHER, SECRET], now), SECRET)
    for signature in (sign(BODY, [OTHER], now), sign(BODY, [SECRET], now - timedelta(hours=1))):
        with pytest.raises(stripe.SignatureVerificationError):
            stripe_verifies(signature, SECRET)


def test_we_take_what_stripe_signs():
    now = datetime.now(UTC)
    made = stripe.WebhookSignature.generate_signature_header(BODY.decode(), SECRET, timestamp=int(now.timestamp()))
    verify(BODY, made, [OTHER, SECRET], now)
    assert refused(made, secrets=[OTHER], now=now)
    # Stripe's package lets this pass.
    assert refused(made, now=now - timedelta(hours=1))
