"""An account was made: give it a profile."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from lib.errors import Overtaken, SeenBefore
from users_svc.application.follow_account import add_new, take_over
from users_svc.application.ports import Ports
from users_svc.domain.account_state import AccountNews
from users_svc.domain.identity import Identity
from users_svc.domain.profile import Profile, UserNotFound


def open_profile(
    ports: Ports, *, event_id: str, user_id: str, email: str, name: str, sequence: int, invited: bool = False
) -> None:
    """Open the account's profile, or bring the one that is there up to the event.

    :param invited: somebody added the account (`create_user`), and has most likely opened its profile already

    The event says nothing about the status: that a new account may be used is what is taken for granted anyhow, and a
    late one must not show a profile that an answer of auth_svc has told to hide.
    """
    news = AccountNews(UUID(user_id), sequence, email=email, name=name)
    if not invited:
        with suppress(Overtaken):
            _open_new(ports, event_id, news)
            return
    # Something was heard of it, or it was deleted.
    with ports.unit_of_work() as uow:
        if not uow.first_time("open_profile", event_id):
            return
        take_over(uow, news, ports.now())
        uow.commit()


def _open_new(ports: Ports, event_id: str, news: AccountNews) -> None:
    with ports.unit_of_work() as uow, suppress(SeenBefore):
        uow.note("open_profile", event_id)
        add_new(uow, news, ports.now())
        uow.commit()


def profile_of(ports: Ports, account: Identity) -> Profile:
    """Return the profile of an account that auth answered with, opened now if the event has not done so yet.

    The answer carries no number, so it changes nothing that an event has told. Raises `UserNotFound` if the account was
    deleted.
    """
    news = AccountNews(account.id, 0, email=account.email, name=account.name, disabled=account.disabled)
    with suppress(Overtaken), ports.unit_of_work() as uow:
        added = add_new(uow, news, ports.now())
        uow.commit()
        return added
    # Somebody was faster, or it was deleted.
    with ports.unit_of_work() as uow:
        profile = take_over(uow, news, ports.now())
        if profile is None:
            raise UserNotFound("there is no such user")
        uow.commit()
    return profile
