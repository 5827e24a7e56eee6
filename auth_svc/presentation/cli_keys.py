"""Commands about signing keys. They print one line of JSON for each key; nothing private is ever in there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from auth_svc.application.ensure_signing_key import ensure_signing_key
from auth_svc.application.list_signing_keys import list_signing_keys
from auth_svc.application.ports import Ports
from auth_svc.application.reseal_signing_keys import reseal_signing_keys
from auth_svc.application.rotate_signing_keys import rotate_signing_keys
from auth_svc.application.withdraw_signing_key import withdraw_signing_key
from auth_svc.bootstrap import build_ports
from auth_svc.domain.signing_key import KeyTooNew, SealedKeyError, SigningKey
from lib.cli import emit, sessions_of
from lib.errors import DomainError
from lib.ids import rfc3339


def ports_of(config: dict[str, Any]) -> Ports:
    return build_ports(config, sessions_of(config, "auth_svc"))


@contextmanager
def refusals() -> Iterator[None]:
    """Turn a refusal into one line for the operator, and a code that is not 0."""
    try:
        yield
    except (DomainError, SealedKeyError) as exc:
        raise click.ClickException(str(exc)) from exc


def _print(keys: Iterable[SigningKey]) -> None:
    for key in keys:
        emit(
            {
                "kid": key.kid,
                "algorithm": key.algorithm,
                "state": key.state,
                "created_at": rfc3339(key.created_at),
                "retired_at": None if key.retired_at is None else rfc3339(key.retired_at),
            }
        )


@click.command("ensure-signing-key")
@click.pass_obj
def ensure(config: dict[str, Any]) -> None:
    """Make the key that access tokens are signed with, and the next one, unless they are there.

    Safe to repeat, also while running. Prints the keys that are published.
    """
    _print(ensure_signing_key(ports_of(config)))


@click.command()
@click.pass_obj
def keys(config: dict[str, Any]) -> None:
    """Show the signing keys: the `next` one, the `active` one, and those that are `retiring`."""
    _print(list_signing_keys(ports_of(config)))


@click.command("rotate-keys")
@click.option("--at-once", is_flag=True, help="wait for seconds only, not until every copy of the key set is renewed")
@click.pass_obj
def rotate(config: dict[str, Any], at_once: bool) -> None:
    """Sign with the next key from now on, and publish a new next one. No valid token is refused for that.

    Refused for 15 minutes after the last rotation, until everybody has seen the next key; with --at-once for 10 seconds
    only, which this command waits for: our own services and gateways ask for a key that they do not know.
    """
    ports = ports_of(config)
    with refusals():
        _print(_patiently(lambda: rotate_signing_keys(ports, at_once=True)) if at_once else rotate_signing_keys(ports))


def _patiently(rotation: Callable[[], Iterable[SigningKey]]) -> Iterable[SigningKey]:
    while True:
        try:
            return rotation()
        except KeyTooNew as refusal:
            time.sleep(refusal.details["retry_after"])


# A thumbprint in base64url begins with a hyphen once in 64 times; that is no option.
@click.command("withdraw-key", context_settings={"ignore_unknown_options": True})
@click.argument("kid")
@click.pass_obj
def withdraw(config: dict[str, Any], kid: str) -> None:
    """Emergency: trust a key no longer. All access tokens that it signed die within minutes; sessions live on.

    Prints the keys that are published now.
    """
    with refusals():
        _print(withdraw_signing_key(ports_of(config), kid=kid))


@click.command("reseal-keys")
@click.pass_obj
def reseal(config: dict[str, Any]) -> None:
    """Encrypt the signing keys' private halves with the first key in SECRET_KEY, and print the keys concerned.

    To change SECRET_KEY: put a new key in front and restart everything, run this and `reseal-subject-keys`, then take
    the old key away and restart everything.
    """
    with refusals():
        _print(reseal_signing_keys(ports_of(config)))


KEY_COMMANDS: tuple[click.Command, ...] = (ensure, keys, rotate, withdraw, reseal)
