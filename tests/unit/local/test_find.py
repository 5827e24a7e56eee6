"""Where `make up` takes its servers from."""

import pytest

from deploy.local import find
from deploy.local.compose import Compose
from deploy.local.console import LocalError
from deploy.local.infra import Infrastructure

URLS = {name: f"postgresql+psycopg2://app:secret@there/{name}" for name in find.DATABASE_URLS}


@pytest.fixture
def said():
    return []


@pytest.fixture
def choose(tmp_path, said):
    def call(environ, docker=False):
        return find.servers(
            environ, project=tmp_path, root=tmp_path / ".local", say=said.append, engine_answers=lambda project: docker
        )

    return call


def names(servers):
    return servers.names if isinstance(servers, Compose) else [part.name for part in servers.parts]


def test_given_addresses_are_used(choose):
    assert choose({"AMQP_URI": "amqp://there", "REDIS_URL": "redis://there", **URLS}, docker=True) == ("given", None)


def test_an_address_in_a_file_is_given_too(choose):
    environ = {"AMQP_URI_FILE": "/run/amqp", "REDIS_URL": "redis://there"} | {f"{name}_FILE": "/x" for name in URLS}

    assert choose(environ) == ("given", None)


def test_docker_comes_before_the_programs_of_this_machine(choose):
    how, servers = choose({}, docker=True)

    assert how == "docker"
    assert isinstance(servers, Compose)
    assert names(servers) == ["rabbitmq", "postgres", "redis"]


def test_the_programs_of_this_machine_are_last(choose):
    how, servers = choose({})

    assert how == "native"
    assert isinstance(servers, Infrastructure)
    assert servers.preferred
    assert servers.durable


@pytest.mark.parametrize("docker", [True, False])
def test_only_what_is_not_given_is_started(choose, docker):
    _, servers = choose({"AMQP_URI": "amqp://there", "REDIS_URL": ""}, docker=docker)

    assert names(servers) == ["postgres", "redis"]


def test_one_can_insist(choose):
    assert choose({"INFRA": "native"}, docker=True)[0] == "native"
    with pytest.raises(LocalError, match="INFRA=docker"):
        choose({"INFRA": "docker"})
    with pytest.raises(LocalError, match="INFRA: expected"):
        choose({"INFRA": "podman"})


def test_two_of_three_databases_are_a_mistake(choose):
    with pytest.raises(LocalError, match="not PAYMENTS_DATABASE_URL: give all three") as caught:
        choose({name: url for name, url in URLS.items() if "PAYMENTS" not in name})

    assert "secret" not in str(caught.value)


def test_a_missing_owner_address_falls_back_to_the_given_one_and_says_so(said):
    environ = {**URLS, "USERS_MIGRATION_DATABASE_URL": "postgresql+psycopg2://owner@there/users"}

    owners = find.owner_urls(environ, said.append)

    assert owners == {
        "AUTH_MIGRATION_DATABASE_URL": URLS["AUTH_DATABASE_URL"],
        "PAYMENTS_MIGRATION_DATABASE_URL": URLS["PAYMENTS_DATABASE_URL"],
    }
    assert len(said) == 2


def test_nothing_given_needs_no_owner_address(said):
    assert find.owner_urls({}, said.append) == {}
    assert said == []
