"""What somebody may do here beyond what everybody may."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from auth_svc.domain.account import Account
from lib.errors import Conflict, Invalid

ADMIN, FINANCE, SUPPORT = "admin", "finance", "support"
#: who has an account has this one; it stands in no list
USER = "user"
ASSIGNABLE = (ADMIN, FINANCE, SUPPORT)


class UnknownRole(Invalid):
    code = "unknown_role"


class OwnAccount(Conflict):
    """Nobody closes the door behind which they stand."""

    code = "own_account"

    def __init__(self) -> None:
        super().__init__("another administrator has to do this to your account")


class LastAdministrator(Conflict):
    """Without one there would be nobody who could make another."""

    code = "last_administrator"

    def __init__(self) -> None:
        super().__init__("this is the last active administrator")


class EmailNotVerified(Conflict):
    """Whoever set the account up may not be who it is for."""

    code = "email_not_verified"

    def __init__(self) -> None:
        super().__init__("the account's e-mail address has to be verified first")


def proper_roles(roles: object) -> tuple[str, ...]:
    """Return roles as an account has them: each once, sorted, without the one that is everybody's.

    :raises UnknownRole: one of them is none
    """
    if not isinstance(roles, list | tuple):
        raise _unknown("/roles")
    known = {proper_role(role, pointer=f"/roles/{position}") for position, role in enumerate(roles)}
    return tuple(sorted(known - {USER}))


def proper_role(role: object, *, pointer: str = "/role") -> str:
    """Return a single role; raise `UnknownRole`."""
    if isinstance(role, str) and role in (USER, *ASSIGNABLE):
        return role
    raise _unknown(pointer)


def _unknown(pointer: str) -> UnknownRole:
    detail = f"roles are {', '.join((USER, *ASSIGNABLE))}"
    return UnknownRole(detail, errors=[{"pointer": pointer, "code": UnknownRole.code, "detail": detail}])


def is_administrator(account: Account) -> bool:
    """True for who can act as one now."""
    return account.is_active and ADMIN in account.roles


def must_be_proved(account: Account) -> None:
    """Refuse to give a role to an account that a stranger may have prepared for somebody else's address."""
    if not account.email_verified:
        raise EmailNotVerified


def must_be_dispensable(account: Account, *, administrators: Collection[Account], actor_id: UUID | None) -> None:
    """Refuse to take the role, or the whole account, from who has to keep it.

    :param administrators: all active ones
    :param actor_id: who wants to
    """
    if account.id == actor_id:
        raise OwnAccount
    if is_administrator(account) and len(administrators) == 1:
        raise LastAdministrator
