"""The four processes and what is said about them."""

from pathlib import Path

import pytest

from deploy.local import system
from deploy.local.console import LocalError


def test_the_ports_of_the_contract():
    assert {each.process: each.health_url for each in system.listeners({})} == {
        "gateway": "http://127.0.0.1:3000/health",
        "auth_svc": "http://127.0.0.1:3001/api/v1/health",
        "users_svc": "http://127.0.0.1:3002/api/v1/health",
        "payments_svc": "http://127.0.0.1:3003/api/v1/health",
    }


@pytest.mark.parametrize(
    ("host", "address"), [("::", "http://[::1]:80"), ("::1", "http://[::1]:80"), ("box", "http://box:80")]
)
def test_a_listener_is_asked_where_it_can_be_reached(host, address):
    gateway = system.listeners({"GATEWAY_HOST": host, "GATEWAY_PORT": "80"})[0]

    assert gateway.address == address


def test_one_port_for_two_processes_is_refused():
    with pytest.raises(LocalError, match="GATEWAY_PORT and USERS_HTTP_PORT are both 4000"):
        system.listeners({"GATEWAY_PORT": "4000", "USERS_HTTP_PORT": "4000"})


def test_services_start_before_the_gateway():
    commands = system.commands(Path("python"), {})

    assert [(command.name, command.stage, command.argv[1:]) for command in commands] == [
        ("auth_svc", 0, ["-m", "lib.runner", "auth_svc"]),
        ("users_svc", 0, ["-m", "lib.runner", "users_svc"]),
        ("payments_svc", 0, ["-m", "lib.runner", "payments_svc"]),
        ("gateway", 1, ["-m", "gateway"]),
    ]


def test_only_the_first_instance_has_the_fixed_port():
    commands = system.commands(Path("python"), {"SERVICE_INSTANCES": "2"})

    assert [(command.name, command.env) for command in commands if command.argv[-1] == "users_svc"] == [
        ("users_svc", {}),
        ("users_svc.2", {"HTTP_PORT": "0"}),
    ]


def test_whoever_hashes_passwords_does_it_in_huge_pages_and_nobody_else():
    def told(environ):
        found = {each.name: each.env.get("GLIBC_TUNABLES") for each in system.commands(Path("python"), environ)}
        return {name: value for name, value in found.items() if value is not None}

    assert told({"SERVICE_INSTANCES": "2"}) == {"auth_svc": system.HUGE_PAGES, "auth_svc.2": system.HUGE_PAGES}
    assert told({"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}) == {"auth_svc": "glibc.malloc.arena_max=2"}


def test_running_processes_do_not_get_the_roles_that_may_do_more():
    environ = {
        "AUTH_DATABASE_URL": "a",
        "AUTH_MIGRATION_DATABASE_URL": "b",
        "USERS_MIGRATION_DATABASE_URL_FILE": "c",
        "POSTGRES_SUPERUSER_URL": "d",
        "HTTP_PORT": "9999",
        "PATH": "/bin",
    }

    assert system.for_processes(environ) == {"AUTH_DATABASE_URL": "a", "PATH": "/bin"}


def test_the_welcome_has_every_address_and_a_first_request():
    environ = {
        "AMQP_MANAGEMENT_URL": "http://guest:guest@127.0.0.1:15672",
        "AUTH_DATABASE_URL": "postgresql+psycopg2://auth_app:auth_app@127.0.0.1:5432/auth",
        "REDIS_URL": "redis://127.0.0.1:6379/0",
    }

    text = system.welcome(system.listeners({}), environ, "native", 12.3)

    for expected in (
        "http://localhost:3000/docs",
        "http://127.0.0.1:3003/api/v1/health",
        "http://127.0.0.1:15672   login guest / guest",
        "postgresql://auth_app:auth_app@127.0.0.1:5432/auth",
        "redis://127.0.0.1:6379/0",
        "curl -i http://localhost:3000/api/v1/auth/register",
    ):
        assert expected in text


def test_the_welcome_shows_no_given_password():
    environ = {
        "AMQP_URI": "amqp://me:hidden@there:5672/",
        "AUTH_DATABASE_URL": "postgresql+psycopg2://app:hidden@there/auth",
        "REDIS_URL": "redis://:hidden@there:6379/0",
    }

    text = system.welcome(system.listeners({}), environ, "given", 1)

    assert "hidden" not in text
    assert "amqp://me@there:5672/" in text
