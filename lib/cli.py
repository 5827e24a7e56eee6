"""The operators' command line: ``python -m lib.cli <service> <command>``.

Every service has the commands below; its own ones stand in ``<service>/presentation/cli.py`` as ``commands``. They get
the configuration as click's ``obj``.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from datetime import datetime
from importlib import import_module
from typing import Any

warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")

import click  # noqa: E402
import sqlalchemy as sa  # noqa: E402
from amqp.exceptions import AMQPError  # noqa: E402
from nameko.exceptions import CommandError, ConfigurationError  # noqa: E402
from sqlalchemy.exc import SQLAlchemyError  # noqa: E402

from lib import config as configuration  # noqa: E402
from lib import dead_letters, logs, migrations, relay, topology  # noqa: E402
from lib.database import Base, Sessions, hide_password, make_engine, wait_for  # noqa: E402
from lib.services import rules_of, service_class  # noqa: E402

WAIT_SECONDS = 30.0


def emit(value: Any) -> None:
    """Print a result as JSON, one line for programs and people alike."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))


def migration_uri(config: dict[str, Any], service: str) -> str:
    return _uri(config, "MIGRATION_DB_URIS", service)


def app_uri(config: dict[str, Any], service: str) -> str:
    return _uri(config, "DB_URIS", f"{service}:{Base.__name__}")


def _uri(config: dict[str, Any], section: str, name: str) -> str:
    if name not in config[section]:
        raise configuration.ConfigError(f"{section}: no entry for {name}")
    return str(config[section][name])


def sessions_of(config: dict[str, Any], service: str) -> Any:
    """Return a session factory on the service's database, in the role of the running service."""
    return Sessions(
        make_engine(
            app_uri(config, service),
            statement_timeout=float(config["DB_STATEMENT_TIMEOUT"]),
            pool_size=2,
            application_name=f"{service} cli",
        )
    )


def common(service: str) -> click.Group:
    """Return the commands that every service has."""

    @click.group(help=f"Commands of {service}.")
    def group() -> None:
        pass

    @group.command()
    @click.pass_obj
    def migrate(config: dict[str, Any]) -> None:
        """Bring the database up to date, grant rights, declare queues. Safe to repeat, also while running."""
        uri = migration_uri(config, service)
        app_role = sa.make_url(app_uri(config, service)).username
        wait_for(uri, WAIT_SECONDS)
        migrations.upgrade(service, uri, str(app_role))
        queues = topology.declare_service(service_class(service), config)
        click.echo(f"{service}: migrated {hide_password(uri)}; {len(queues)} queues declared")

    @group.command("declare-topology")
    @click.pass_obj
    def declare_topology(config: dict[str, Any]) -> None:
        """Declare the service's queues and exchanges, and print the queues."""
        for name in topology.declare_service(service_class(service), config):
            click.echo(name)

    @group.command("check-config")
    @click.pass_obj
    def check_config(config: dict[str, Any]) -> None:
        """Print the configuration that is in force, secrets hidden."""
        emit(logs.redact(config))

    @group.group("dead-letters")
    def dead() -> None:
        """Events that were given up after their last try."""

    @dead.command("list")
    @click.pass_obj
    def list_(config: dict[str, Any]) -> None:
        """One line of JSON for each parked event."""
        for each in dead_letters.list_parked(config, service):
            emit(each)

    @dead.command()
    @click.argument("event_id")
    @click.pass_obj
    def show(config: dict[str, Any], event_id: str) -> None:
        """One parked event with its body."""
        found = dead_letters.show(config, service, event_id)
        if found is None:
            raise click.ClickException(f"no parked event {event_id}")
        emit(found)

    @dead.command()
    @click.argument("event_id", required=False)
    @click.option("--all", "everything", is_flag=True, help="replay every parked event")
    @click.pass_obj
    def replay(config: dict[str, Any], event_id: str | None, everything: bool) -> None:
        """Send parked events back to their handlers."""
        if (event_id is None) == (not everything):
            raise click.UsageError("give an event's id, or --all")
        sent = dead_letters.replay(config, service, event_id)
        if event_id is not None and not sent:
            raise click.ClickException(f"no parked event {event_id}")
        click.echo(f"replayed {sent}")

    @group.command()
    @click.pass_obj
    def outbox(config: dict[str, Any]) -> None:
        """How old the oldest event is that waits to be sent, in seconds."""
        with sessions_of(config, service)() as session:
            emit({"oldest_unsent_seconds": round(relay.oldest_unsent(session), 1)})

    @group.command("resend-events")
    @click.option("--since", required=True, help="a moment like 2026-01-31T12:00:00Z")
    @click.pass_obj
    def resend_events(config: dict[str, Any], since: str) -> None:
        """Send again what was sent since a moment, after a broker has lost its data. Handlers skip what they know."""
        try:
            moment = datetime.fromisoformat(since)
        except ValueError as exc:
            raise click.BadParameter("expected a moment like 2026-01-31T12:00:00Z", param_hint="--since") from exc
        if moment.tzinfo is None:
            raise click.BadParameter("needs a time zone, as in 2026-01-31T12:00:00Z", param_hint="--since")
        click.echo(f"to be sent again: {relay.resend(sessions_of(config, service), moment)}")

    return group


def own(service: str, into: click.Group) -> click.Group:
    """Add the service's own commands to `into`."""
    try:
        module = import_module(f"{service}.presentation.cli")
    except ModuleNotFoundError as exc:
        if exc.name != f"{service}.presentation.cli":
            raise
        return into
    for name, command in module.commands.commands.items():
        into.add_command(command, name)
    return into


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0].startswith("-"):
        click.echo("usage: python -m lib.cli <service> <command> …   (--help after the service lists its commands)")
        return 0 if arguments[:1] in (["--help"], ["-h"]) else 2
    sys.path.insert(0, os.getcwd())
    service, *rest = arguments
    try:
        config = configuration.load(os.environ.get("CONFIG_PATH", configuration.DEFAULT_PATH))
        configuration.check(config, rules_of(service))
        logs.configure(service=service, level="WARNING", fmt=config["LOG_FORMAT"])
        group = own(service, common(service))
        group.main(rest, prog_name=f"python -m lib.cli {service}", standalone_mode=False, obj=config)
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except click.exceptions.Abort:
        return 130
    except (configuration.ConfigError, CommandError, ConfigurationError, ModuleNotFoundError) as exc:
        click.echo(f"error: {' '.join(str(exc).split())}", err=True)
        return 78
    except (SQLAlchemyError, AMQPError, OSError) as exc:
        # SQLAlchemy adds the statement on further lines.
        click.echo(f"error: {logs.redact(str(exc)).splitlines()[0]}", err=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
