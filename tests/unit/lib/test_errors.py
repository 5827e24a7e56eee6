"""The kinds of refusals: the contract between a rule and the gateway."""

import re

import pytest

from lib import errors
from lib.errors import DomainError

KINDS = {
    "Malformed": "malformed",
    "Invalid": "invalid",
    "Unauthenticated": "unauthenticated",
    "Declined": "declined",
    "Forbidden": "forbidden",
    "NotFound": "not_found",
    "Conflict": "conflict",
    "Stale": "stale",
    "Limited": "limited",
    "Unavailable": "unavailable",
    "OutcomeUnknown": "unavailable",
}
CLASSES = [getattr(errors, name) for name in KINDS]


def test_the_kinds_are_these_and_no_others():
    found = {
        name: each.kind
        for name, each in vars(errors).items()
        if isinstance(each, type) and issubclass(each, DomainError) and each is not DomainError
    }
    # Of mails, for use cases; no caller gets to see them.
    of_mails = {name: found.pop(name) for name in ("MailUnavailable", "MailRefused")}
    assert of_mails == {"MailUnavailable": "unavailable", "MailRefused": "internal"}
    assert found == KINDS


@pytest.mark.parametrize("error", CLASSES)
def test_a_code_is_for_programs_and_the_default_message_for_people(error):
    assert re.fullmatch(r"[a-z][a-z_]*", error.code)
    assert error().message == error.code.replace("_", " ")


def test_codes_are_told_apart():
    assert len({each.code for each in CLASSES}) == len(CLASSES)


def test_message_and_details():
    error = errors.Limited("slow down", retry_after=5)
    assert error.message == str(error) == "slow down"
    assert error.details == {"retry_after": 5}


def test_a_rules_own_error_is_caught_by_its_kind():
    class Taken(errors.Conflict):
        code = "taken"

    with pytest.raises(errors.Conflict) as caught:
        raise Taken(field="name")
    assert (caught.value.kind, caught.value.code, caught.value.message) == ("conflict", "taken", "taken")


def test_an_unknown_outcome_can_be_handled_as_unavailable():
    assert issubclass(errors.OutcomeUnknown, errors.Unavailable)
