"""Commands about accounts."""

from __future__ import annotations

import sys
from typing import Any

import click

from auth_svc.application.create_admin import create_admin as make_admin
from auth_svc.application.disable_account import disable_account as disable
from auth_svc.application.enable_account import enable_account as enable
from auth_svc.application.find_account import find_account
from auth_svc.presentation.cli_keys import ports_of, refusals
from auth_svc.presentation.schemas import account_dump
from lib.cli import emit


@click.command("create-admin")
@click.argument("email")
@click.option("--name", default="Administrator", show_default=True, help="of a new account")
@click.option("--password-stdin", is_flag=True, help="take the password from standard input instead of asking for it")
@click.pass_obj
def create_admin(config: dict[str, Any], email: str, name: str, password_stdin: bool) -> None:
    """Make an account with the role admin, or give the role to the account that has this address.

    A new account needs a password, under the same rules as everybody's. An account that is there keeps everything.
    """
    ask = _password_from_stdin if password_stdin else _password_from_prompt
    with refusals():
        account, created = make_admin(ports_of(config), email=email, name=name, password=ask)
    emit({**account_dump(account, for_staff=True), "created": created})


def _password_from_prompt() -> str:
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


def _password_from_stdin() -> str:
    return sys.stdin.readline().rstrip("\r\n")


@click.group("accounts")
def accounts() -> None:
    """Look at accounts."""


@accounts.command("show")
@click.argument("email")
@click.pass_obj
def show(config: dict[str, Any], email: str) -> None:
    """One line of JSON about the account that has this address."""
    with refusals():
        emit(account_dump(find_account(ports_of(config), email=email), for_staff=True))


@click.command("disable-account")
@click.argument("email")
@click.option("--reason", required=True, help="kept in the audit trail and with the account")
@click.pass_obj
def disable_account(config: dict[str, Any], email: str, reason: str) -> None:
    """Close an account: all of its sessions end, and nobody can sign in."""
    ports = ports_of(config)
    with refusals():
        found = find_account(ports, email=email)
        account = disable(ports, account_id=str(found.id), reason=reason)
    emit(account_dump(account, for_staff=True))


@click.command("enable-account")
@click.argument("email")
@click.option("--reason", required=True, help="kept in the audit trail")
@click.pass_obj
def enable_account(config: dict[str, Any], email: str, reason: str) -> None:
    """Open a closed account again."""
    ports = ports_of(config)
    with refusals():
        found = find_account(ports, email=email)
        account = enable(ports, account_id=str(found.id), reason=reason)
    emit(account_dump(account, for_staff=True))


ACCOUNT_COMMANDS: tuple[click.Command, ...] = (create_admin, accounts, disable_account, enable_account)
