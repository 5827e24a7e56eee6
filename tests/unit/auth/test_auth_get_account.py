import pytest

from auth_svc.application.get_account import get_account
from auth_svc.application.get_jwks import get_jwks
from auth_svc.application.register_account import register_account
from auth_svc.domain.account import AccountNotFound
from lib.ids import new_id
from tests.fakes.auth import AuthWorld


def test_an_account_is_found_by_its_id():
    world = AuthWorld()
    made = register_account(world.ports, email="ann@example.com", password="SecurePass123!", name="Ann").account
    assert get_account(world.ports, user_id=str(made.id)).email.typed == "ann@example.com"


@pytest.mark.parametrize("user_id", [str(new_id()), "ann", "", None, 5])
def test_an_unknown_id_is_not_found(user_id):
    with pytest.raises(AccountNotFound) as refusal:
        get_account(AuthWorld().ports, user_id=user_id)
    assert (refusal.value.kind, refusal.value.code) == ("not_found", "account_not_found")


def test_the_public_keys_come_from_where_tokens_are_signed():
    world = AuthWorld()
    assert get_jwks(world.ports) == world.tokens.jwks()
