"""Something about an account changed: its profile follows."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from users_svc.application.ports import Ports, UnitOfWork
from users_svc.domain.account_state import AccountNews, AccountState
from users_svc.domain.profile import Profile


def follow_account(
    ports: Ports,
    *,
    event_id: str,
    user_id: str,
    sequence: int,
    email: str | None = None,
    name: str | None = None,
    disabled: bool | None = None,
) -> None:
    """Take over what an event of the account says; None for what it does not speak of.

    There may be no profile yet, as the events come in any order. What this one says is kept for it then, and an event
    that completes e-mail and name opens it.
    """
    # An address that comes after the first one was shown to be its owner's: verified, claimed, changed to or back to.
    news = AccountNews(UUID(user_id), sequence, email=email, name=name, disabled=disabled, proved=email is not None)
    with ports.unit_of_work() as uow:
        if not uow.first_time("follow_account", event_id):
            return
        take_over(uow, news, ports.now())
        uow.commit()


def take_over(uow: UnitOfWork, news: AccountNews, now: datetime) -> Profile | None:
    """Bring state and profile of the account up to the news, in turn with whoever else has some; return the profile.

    None if there cannot be one: for a deleted account, and for one of which e-mail or name are not known yet.
    """
    heard = AccountState(news.id)
    heard.hear(news)
    account = uow.accounts.add_or_get(heard)
    if account is None:
        return None
    called = account.name
    account.hear(news)
    opened = _opened(account, now)
    if opened is None:
        return None
    # Most have one, and nobody adds or removes it while the state is locked.
    profile = uow.profiles.get(account.id) or uow.profiles.add_or_get(opened)
    profile.follow(account, called=called, now=now)
    return profile


def add_new(uow: UnitOfWork, news: AccountNews, now: datetime) -> Profile:
    """Add state and profile of an account that nobody has heard of, which is nearly every new one; return the profile.

    It reads nothing and locks nothing first, so all of it is saved in one round trip. If something was heard, or the
    account was deleted, `commit` raises `Overtaken`: then it is for `take_over`.

    :param news: with e-mail and name
    """
    account = AccountState(news.id)
    account.hear(news)
    profile = _opened(account, now)
    assert profile is not None  # noqa: S101  (these news have what it takes)
    uow.accounts.add(account)
    uow.profiles.add(profile)
    return profile


def _opened(account: AccountState, now: datetime) -> Profile | None:
    """Return a profile as the account has it from the start; None as long as e-mail or name are not known."""
    if account.email is None or account.name is None:
        return None
    profile = Profile.open(account.id, email=account.email, name=account.name, now=now)
    profile.follow(account, called=account.name, now=now)
    return profile
