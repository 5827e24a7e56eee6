"""The operators' commands about accounts, on a real database."""

import json

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from auth_svc.application.register_account import register_account
from auth_svc.application.sign_in import sign_in
from auth_svc.bootstrap import build_ports
from auth_svc.domain.account import InvalidCredentials
from auth_svc.presentation.cli import commands
from tests.integration.auth.conftest import DEFAULTS
from tests.support.auth_accounts import add_account

ANN = {"email": "Ann@example.com", "password": "SecurePass123!", "name": "Ann"}
PASSWORD = "a long enough phrase"


@pytest.fixture
def config(auth_sessions):
    uri = auth_sessions.engine.url.render_as_string(hide_password=False)
    return {**DEFAULTS, "DB_URIS": {"auth_svc:Base": uri}}


@pytest.fixture
def run(config):
    def invoke(*arguments, typed=""):
        return CliRunner().invoke(commands, list(arguments), obj=config, input=typed)

    return invoke


@pytest.fixture
def ports(config, auth_sessions):
    """With the real hashes, as the commands make them."""
    return build_ports(config, auth_sessions)


@pytest.fixture
def trail(auth_sessions):
    def entries():
        with auth_sessions() as session:
            return session.execute(sa.text("select kind, actor_kind, outcome from audit_events order by id")).all()

    return entries


def test_the_first_administrator_is_made_with_a_typed_password(run, ports, trail):
    result = run("create-admin", "Root@example.com", "--name", "Root", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert result.exit_code == 0, result.output
    # The password is not echoed; what else is printed is for people.
    assert PASSWORD not in result.output
    shown = json.loads(result.output.splitlines()[-1])
    assert shown == {
        "id": shown["id"],
        "email": "Root@example.com",
        "name": "Root",
        "email_verified": True,
        "status": "active",
        "roles": ["admin"],
        "disabled_reason": None,
        "created_at": shown["created_at"],
        "created": True,
    }
    signed_in = sign_in(ports, email="root@example.com", password=PASSWORD)
    assert signed_in.account.roles == ("admin",)
    assert ("account.registered", "system", "success") in trail()


def test_passwords_that_differ_are_asked_for_again_and_none_makes_nobody(run, count):
    result = run("create-admin", "root@example.com", typed=f"{PASSWORD}\nanother one\n")
    assert result.exit_code != 0
    assert "do not match" in result.output
    assert count("accounts") == 0


@pytest.mark.parametrize("ending", ["\n", "\r\n", ""])
def test_a_password_from_standard_input_is_taken_without_its_line_break(run, ports, ending):
    result = run("create-admin", "root@example.com", "--password-stdin", typed=PASSWORD + ending)
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["name"] == "Administrator"
    assert sign_in(ports, email="root@example.com", password=PASSWORD)


@pytest.mark.parametrize("password", ["", "short", "password123", "root@example.com1"])
def test_a_weak_password_is_refused_in_one_line(run, count, password):
    result = run("create-admin", "root@example.com", "--password-stdin", typed=f"{password}\n")
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1
    assert "the password must" in result.output or "this password" in result.output
    assert count("accounts") == count("audit_events") == 0


def test_an_account_that_is_there_gets_the_role_and_is_asked_for_no_password(run, ports, trail, auth_sessions):
    register_account(ports, **ANN)
    refused = run("create-admin", "ann@EXAMPLE.com")
    assert (refused.exit_code, len(refused.output.splitlines())) == (1, 1)
    assert "verified first" in refused.output
    with auth_sessions() as session:
        session.execute(sa.text("update accounts set email_verified = true"))
        session.commit()
    for created in range(2):
        result = run("create-admin", "ann@EXAMPLE.com")
        assert result.exit_code == 0, result.output
        shown = json.loads(result.output)
        assert (shown["email"], shown["roles"], shown["created"]) == ("Ann@example.com", ["admin"], False), created
    assert sign_in(ports, email=ANN["email"], password=ANN["password"]).account.roles == ("admin",)
    assert [each for each in trail() if each.kind == "roles.changed"] == [("roles.changed", "system", "success")]


@pytest.mark.parametrize("status", ["disabled", "invited"])
def test_an_account_that_nobody_can_sign_in_to_is_refused(run, ports, status):
    add_account(ports.unit_of_work, status=status)
    result = run("create-admin", "ann@example.com")
    assert (result.exit_code, len(result.output.splitlines())) == (1, 1)
    assert "disabled, or was never claimed" in result.output


def test_accounts_are_shown_closed_and_opened(run, ports, trail):
    register_account(ports, **ANN)
    shown = json.loads(run("accounts", "show", "ANN@example.com").output)
    assert (shown["email"], shown["status"], shown["disabled_reason"]) == ("Ann@example.com", "active", None)
    disabled = json.loads(run("disable-account", "ann@example.com", "--reason", "stolen").output)
    assert (disabled["status"], disabled["disabled_reason"]) == ("disabled", "stolen")
    with pytest.raises(InvalidCredentials):
        sign_in(ports, email=ANN["email"], password=ANN["password"])
    enabled = json.loads(run("enable-account", "ann@example.com", "--reason", "found").output)
    assert (enabled["status"], enabled["disabled_reason"]) == ("active", None)
    assert sign_in(ports, email=ANN["email"], password=ANN["password"])
    told = [each for each in trail() if each.kind.startswith("account.") and each.actor_kind == "system"]
    assert [each.kind for each in told][-2:] == ["account.disabled", "account.enabled"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["accounts", "show", "nobody@example.com"], "there is no such account"),
        (["accounts", "show", "no address"], "not an e-mail address"),
        (["disable-account", "nobody@example.com", "--reason", "x"], "there is no such account"),
        (["disable-account", "root@example.com", "--reason", " "], "a reason has 1 to 500 characters"),
        (["disable-account", "root@example.com", "--reason", "x"], "this is the last active administrator"),
        (["enable-account", "nobody@example.com", "--reason", "x"], "there is no such account"),
        (["create-admin", "no address"], "not an e-mail address"),
        (["create-admin", "a@example.com", "--name", "\u202ex"], "a name has 1 to 100 characters"),
    ],
)
def test_a_refusal_is_one_line_and_not_0(run, ports, arguments, line):
    add_account(ports.unit_of_work, "root@example.com", roles=("admin",))
    result = run(*arguments)
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1
    assert line in result.output


@pytest.mark.parametrize("command", ["disable-account", "enable-account"])
def test_nothing_is_done_without_a_reason(run, command):
    result = run(command, "ann@example.com")
    assert result.exit_code == 2
    assert "--reason" in result.output


def test_no_command_takes_a_password_as_an_argument():
    """It would stand in the list of processes and in the shell's history."""
    options = {option for command in commands.commands.values() for each in command.params for option in each.opts}
    assert "--password" not in options
    assert "--password-stdin" in options
