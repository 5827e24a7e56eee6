"""Clients on a real database: made, listed and revoked by command; and what they may do to tokens."""

import json

import pytest
import sqlalchemy as sa

from auth_svc.application.introspect_token import introspect_token
from auth_svc.application.refresh_session import refresh_session
from auth_svc.application.register_account import register_account
from auth_svc.application.revoke_token import revoke_token
from auth_svc.domain.oauth_client import InvalidClient
from tests.integration.auth.test_auth_keys import ANN, clock, config, instance, lines, rows, run

__all__ = ["clock", "config", "instance", "run"]


@pytest.fixture
def client(run):
    (made,) = lines(run("clients", "create", "Billing"))
    return {"client_id": made["client_id"], "client_secret": made["client_secret"]}


def test_a_new_clients_secret_is_printed_once_and_kept_as_a_hash(run, auth_sessions):
    (made,) = lines(run("clients", "create", "Billing"))
    assert set(made) == {"client_id", "client_secret", "name", "created_at", "revoked_at"}
    assert made["client_id"].startswith("lcl_")
    assert made["client_secret"].startswith("lcs_")
    assert (made["name"], made["revoked_at"]) == ("Billing", None)
    listed = run("clients", "list")
    assert lines(listed) == [{name: value for name, value in made.items() if name != "client_secret"}]
    assert made["client_secret"] not in listed.output
    with auth_sessions() as session:
        for table in ("oauth_clients", "audit_events", "outbox"):
            for row in session.execute(sa.text(f"select t::text from {table} t")).scalars():
                assert made["client_secret"] not in row
                assert made["client_secret"].encode().hex() not in row


def test_no_two_secrets_are_alike(run):
    made = [lines(run("clients", "create", "Billing"))[0] for _ in range(3)]
    assert len({each["client_secret"] for each in made}) == len({each["client_id"] for each in made}) == 3
    assert [each["client_id"] for each in lines(run("clients", "list"))] == [each["client_id"] for each in made]


def test_a_revoked_client_is_refused_at_once(run, client, instance):
    ports = instance()
    token = register_account(ports, **ANN).access_token.value
    assert introspect_token(ports, **client, token=token)["active"] is True
    (revoked,) = lines(run("clients", "revoke", client["client_id"]))
    assert revoked["revoked_at"]
    for use_case in (introspect_token, revoke_token):
        with pytest.raises(InvalidClient):
            use_case(ports, **client, token=token)
    assert lines(run("clients", "revoke", client["client_id"])) == [revoked]
    assert lines(run("clients", "list")) == [revoked]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("revoke", "lcl_00000000000000000000000000000000"), "there is no such client"),
        (("revoke", "Billing"), "there is no such client"),
        (("create", " "), "a client's name has 1 to 100 printable characters"),
        (("create", "x" * 101), "a client's name has 1 to 100 printable characters"),
    ],
)
def test_a_refused_command_says_why_in_one_line(run, arguments, message):
    answer = run("clients", *arguments)
    assert (answer.exit_code, answer.output) == (1, f"Error: {message}\n")


def test_what_happens_to_clients_is_in_the_audit_trail(run, client, auth_sessions):
    run("clients", "revoke", client["client_id"])
    run("clients", "revoke", client["client_id"])
    found = rows(
        auth_sessions, "select kind, actor_kind, details from audit_events where kind like 'oauth_client.%' order by id"
    )
    assert [(each.kind, each.actor_kind) for each in found] == [
        ("oauth_client.created", "system"),
        ("oauth_client.revoked", "system"),
    ]
    assert found[0].details == {"client_id": client["client_id"], "name": "Billing"}
    assert client["client_secret"] not in json.dumps([each.details for each in found])


def test_tokens_are_good_until_their_session_ends(client, instance, auth_sessions):
    ports = instance()
    registered = register_account(ports, **ANN)
    access, refresh = registered.access_token.value, registered.refresh_token
    account_id = str(registered.account.id)
    said = introspect_token(ports, **client, token=access)
    assert said["active"] is True
    assert said["token_type"] == "Bearer"
    assert said["sub"] == account_id
    assert set(said) == {
        "active", "token_type", "exp", "iat", "sub", "aud", "iss", "jti", "sid", "roles", "amr", "auth_time",
        "email_verified",
    }  # fmt: skip
    before = rows(auth_sessions, "select t::text from sessions t")
    told = introspect_token(ports, **client, token=refresh)
    assert (told["active"], told["token_type"], told["sub"], told["sid"]) == (
        True,
        "refresh_token",
        account_id,
        said["sid"],
    )
    assert rows(auth_sessions, "select t::text from sessions t") == before
    newer = refresh_session(ports, refresh_token=refresh)
    assert introspect_token(ports, **client, token=refresh) == {"active": False}
    assert introspect_token(ports, **client, token=newer.refresh_token)["active"] is True

    revoke_token(ports, **client, token=newer.access_token.value)
    for token in (access, newer.access_token.value, refresh, newer.refresh_token):
        assert introspect_token(ports, **client, token=token) == {"active": False}
        revoke_token(ports, **client, token=token)
    (sent,) = rows(auth_sessions, "select envelope from outbox where type = 'session.revoked'")
    assert sent.envelope["data"] == {"session_id": said["sid"], "user_id": account_id, "reason": "client"}
    (entry,) = rows(auth_sessions, "select * from audit_events where kind = 'session.ended'")
    assert (str(entry.account_id), str(entry.session_id)) == (account_id, said["sid"])
    assert entry.details == {"reason": "client", "client_id": client["client_id"]}


@pytest.mark.parametrize("token", ["", "a.b.c", "\0", "\ud800", "lrt_" + "A" * 88, "x" * 20_000, None, 7, {}, []])
def test_no_other_text_is_a_token(client, instance, token):
    ports = instance()
    register_account(ports, **ANN)
    assert introspect_token(ports, **client, token=token) == {"active": False}
    revoke_token(ports, **client, token=token)


@pytest.mark.parametrize("client_id", ["", "\0", "lcl_\0", "\ud800", "lcl_" + "0" * 32, None, 7, {}, []])
def test_no_other_text_is_a_client(client, instance, client_id):
    ports = instance()
    for use_case in (introspect_token, revoke_token):
        with pytest.raises(InvalidClient):
            use_case(ports, client_id=client_id, client_secret=client["client_secret"], token="token")
