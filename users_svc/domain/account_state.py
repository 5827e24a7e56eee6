"""What auth_svc has said about an account, in whatever order it came."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from users_svc.domain.text import fitted_name


@dataclass(frozen=True)
class AccountNews:
    """What one message says about an account; None for what it does not speak of.

    :param sequence: counts the events of one account from 1; 0 for an answer to a question, as it carries no number
    :param proved: its owner was seen to read the mail to `email`
    :param disabled: whether the account may not be used
    """

    id: UUID
    sequence: int
    email: str | None = field(default=None, repr=False)
    name: str | None = field(default=None, repr=False)
    disabled: bool | None = None
    proved: bool = False

    def __post_init__(self) -> None:
        if self.email is None and self.name is None and self.disabled is None:
            raise ValueError("news of an account that say nothing")


@dataclass(eq=False, repr=False)
class AccountState:
    """The newest that is known of an account: one per account, from the first message on, with or without a profile.

    Several relays and retries deliver the events of one account in any order, and not every event speaks of everything.
    So each aspect keeps the number of the event that spoke of it last, and what is older is dropped. This works without
    a profile too: the e-mail of a ``user.email.changed`` that overtook the ``user.registered`` waits here for the
    profile to be opened. The profile has copies of what it shows, taken in the same transaction.
    """

    id: UUID
    email: str | None = None
    name: str | None = None
    disabled: bool = False
    email_sequence: int = 0
    name_sequence: int = 0
    status_sequence: int = 0
    email_verified: bool = False

    def __repr__(self) -> str:
        # These end up in tracebacks and logs; the rest of their fields is personal.
        return f"<AccountState {self.id}>"

    def hear(self, news: AccountNews) -> None:
        """Take over what is newer than what is known. The same news again changes nothing."""
        if news.email is not None and _is_newer(news.sequence, self.email_sequence):
            self.email, self.email_sequence, self.email_verified = news.email, news.sequence, news.proved
        if news.name is not None and _is_newer(news.sequence, self.name_sequence):
            self.name, self.name_sequence = fitted_name(news.name), news.sequence
        if news.disabled is not None and _is_newer(news.sequence, self.status_sequence):
            self.disabled, self.status_sequence = news.disabled, news.sequence


def _is_newer(sequence: int, known: int) -> bool:
    """An answer, which has no number, counts until the first event speaks: it may be older than any of them."""
    return sequence > known or known == 0
