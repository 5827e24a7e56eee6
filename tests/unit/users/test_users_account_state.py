"""What is known of an account, whatever the order in which it is told."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.ids import new_id
from users_svc.domain.account_state import AccountNews, AccountState

ANN = new_id()
HISTORY = (
    AccountNews(ANN, 1, email="ann@example.com", name="A."),
    AccountNews(ANN, 2, email="ann@example.com", name="Ann"),
    AccountNews(ANN, 3, email="ann@example.org"),
    AccountNews(ANN, 4, disabled=True),
    AccountNews(ANN, 5, disabled=False),
    AccountNews(ANN, 6, disabled=True),
)


def state_after(*news):
    account = AccountState(ANN)
    for each in news:
        account.hear(each)
    return vars_of(account)


def vars_of(account):
    names = ("email", "name", "disabled", "email_sequence", "name_sequence", "status_sequence")
    return {name: getattr(account, name) for name in names}


def test_every_order_of_the_events_ends_the_same():
    expected = {
        "email": "ann@example.org",
        "name": "Ann",
        "disabled": True,
        "email_sequence": 3,
        "name_sequence": 2,
        "status_sequence": 6,
    }
    assert all(state_after(*order) == expected for order in permutations(HISTORY))


@given(st.lists(st.sampled_from(HISTORY)).map(lambda extra: [*extra, *HISTORY]).flatmap(st.permutations))
def test_events_told_several_times_end_the_same(order):
    assert state_after(*order) == state_after(*HISTORY)


def test_one_aspect_does_not_hold_up_another():
    known = state_after(AccountNews(ANN, 9, disabled=True), AccountNews(ANN, 3, email="ann@example.org"))
    assert (known["disabled"], known["email"], known["name"]) == (True, "ann@example.org", None)


def test_an_answer_counts_while_no_event_has_spoken():
    first = AccountNews(ANN, 0, email="ann@example.com", name="Ann", disabled=True)
    second = AccountNews(ANN, 0, email="ann@example.org", name="Ann", disabled=False)
    assert state_after(first, second) == state_after(second)
    assert state_after(first, second)["email"] == "ann@example.org"


@pytest.mark.parametrize("event", HISTORY)
def test_an_answer_never_counts_against_an_event(event):
    answer = AccountNews(ANN, 0, email="x@example.com", name="X", disabled=not event.disabled)
    told, answered = state_after(event), state_after(event, answer)
    for aspect, number in (("email", "email"), ("name", "name"), ("disabled", "status")):
        if getattr(event, aspect) is not None:
            assert answered[aspect] == told[aspect]
            assert answered[f"{number}_sequence"] == event.sequence


def test_a_name_that_another_service_accepted_is_made_to_fit():
    assert state_after(AccountNews(ANN, 1, email="ann@example.com", name="A\0nn " + "n" * 200))["name"] == (
        "Ann " + "n" * 96
    )


def test_news_that_say_nothing_are_a_mistake():
    with pytest.raises(ValueError, match="nothing"):
        AccountNews(ANN, 1)


@pytest.mark.parametrize("sequence", ["2", None])
def test_a_number_that_is_none_is_refused(sequence):
    with pytest.raises(TypeError):
        state_after(AccountNews(ANN, sequence, email="ann@example.com"))


def test_what_is_known_of_an_account_does_not_show_in_a_log_line():
    account = AccountState(ANN, email="ann@example.com", name="Ann")
    news = AccountNews(ANN, 1, email="ann@example.com", name="Ann")
    assert repr(account) == f"<AccountState {ANN}>"
    assert "Ann" not in repr(news)
    assert "example" not in repr(news)
