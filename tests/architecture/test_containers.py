"""The image of our processes, and the entry points of the broker and the database."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from tests.architecture.files import ROOT, resolve, text_of

PASSWORDS = {
    "rabbitmq": {
        "BROKER_OPERATOR_PASSWORD": "guest",
        "GATEWAY_AMQP_PASSWORD": "gateway",
        "AUTH_AMQP_PASSWORD": "auth_svc",
        "USERS_AMQP_PASSWORD": "users_svc",
        "PAYMENTS_AMQP_PASSWORD": "payments_svc",
    },
    "postgres": {
        "POSTGRES_PASSWORD": "postgres",
        "AUTH_OWNER_PASSWORD": "auth_owner",
        "AUTH_APP_PASSWORD": "auth_app",
        "USERS_OWNER_PASSWORD": "users_owner",
        "USERS_APP_PASSWORD": "users_app",
        "PAYMENTS_OWNER_PASSWORD": "payments_owner",
        "PAYMENTS_APP_PASSWORD": "payments_app",
    },
}


class Container:
    """Runs the entry point of one of our containers, with a stand-in for the image's own one."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.definitions = folder / "definitions.json"
        self.path = folder / "bin"
        self.path.mkdir()
        for program, body in {"docker-entrypoint.sh": 'echo "started $*"; env', "chown": "exit 0"}.items():
            file = self.path / program
            file.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
            file.chmod(0o755)

    def start(self, **changed: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", str(ROOT / "deploy/docker" / self.name / "entrypoint.sh"), "the-server"],
            env={
                "PATH": f"{self.path}:{os.environ['PATH']}",
                "DEFINITIONS": str(self.definitions),
                "BROKER_OPERATOR": "guest",
                **PASSWORDS[self.name],
                **changed,
            },
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(params=["rabbitmq", "postgres"])
def container(request, tmp_path):
    return Container(request.param, tmp_path)


def test_the_compose_file_hands_over_the_development_passwords(compose):
    for name, passwords in PASSWORDS.items():
        environment = compose["services"][name]["environment"]
        assert {each: resolve(environment[each]) for each in passwords} == passwords


def test_development_starts_with_the_defaults(container):
    result = container.start()

    assert result.returncode == 0, result.stderr
    assert "started the-server" in result.stdout


@pytest.mark.parametrize("name, variable", [(name, each) for name in PASSWORDS for each in PASSWORDS[name]])
def test_production_refuses_each_development_password(name, variable, tmp_path):
    container = Container(name, tmp_path)
    secrets = {each: f"long-secret-{number}" for number, each in enumerate(PASSWORDS[name])}

    assert container.start(APP_ENV="production", **secrets).returncode == 0
    result = container.start(APP_ENV="production", **{**secrets, variable: PASSWORDS[name][variable]})

    assert result.returncode == 1
    assert result.stderr == f"leveret: {variable}: the development default is refused in production\n"


@pytest.mark.parametrize("value", ["", "a b", "a/b", "a@b", 'a"b', "a'b", "a|b", "a&b", "a\\b", "a%b", "a\nb", "ü"])
def test_passwords_that_would_break_a_url_are_refused(container, value):
    variable = next(iter(PASSWORDS[container.name]))

    result = container.start(**{variable: value})

    assert result.returncode == 1
    assert result.stderr.startswith(f"leveret: {variable}: ")


def test_the_brokers_definitions_get_the_passwords_and_nobody_else_does(tmp_path):
    container = Container("rabbitmq", tmp_path)
    secrets = {each: f"secret.-_~{number}" for number, each in enumerate(PASSWORDS["rabbitmq"])}

    result = container.start(BROKER_OPERATOR="olga", **secrets)

    definitions = yaml.safe_load(container.definitions.read_text(encoding="utf-8"))
    assert {user["name"]: user["password"] for user in definitions["users"]} == {
        "olga": "secret.-_~0",
        "gateway": "secret.-_~1",
        "auth_svc": "secret.-_~2",
        "users_svc": "secret.-_~3",
        "payments_svc": "secret.-_~4",
    }
    assert "olga" in {each["user"] for each in definitions["permissions"]}
    assert "${" not in container.definitions.read_text(encoding="utf-8")
    assert container.definitions.stat().st_mode & 0o077 == 0
    assert "secret." not in result.stdout, "the server's own environment holds a password"


# --- Dockerfile ---


@pytest.fixture(scope="module")
def dockerfile() -> list[tuple[str, str]]:
    """Instructions and their arguments, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", text_of("Dockerfile"), flags=re.MULTILINE).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def final_stage(dockerfile: list[tuple[str, str]]) -> list[tuple[str, str]]:
    start = max(index for index, (word, _) in enumerate(dockerfile) if word == "FROM")
    return dockerfile[start:]


def test_base_images_have_an_exact_version(dockerfile, setup_cfg):
    bases = [rest.split()[0] for word, rest in dockerfile if word == "FROM"]

    assert len(bases) == 2
    for base in bases:
        name, _, tag = base.partition(":")
        assert name == "python"
        version = re.fullmatch(r"(\d+\.\d+\.\d+)-slim-\w+", tag)[1]
        assert Version(version) in SpecifierSet(setup_cfg["options"]["python_requires"])


def test_the_image_does_not_run_as_root(dockerfile):
    users = [rest for word, rest in final_stage(dockerfile) if word == "USER"]

    assert users, "no USER"
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", users[-1])
    after = final_stage(dockerfile)[final_stage(dockerfile).index(("USER", users[-1])) :]
    assert not [word for word, _ in after if word in ("RUN", "COPY", "ADD")]


def test_packages_come_from_the_lock_alone(dockerfile):
    installs = [rest for word, rest in dockerfile if word == "RUN" and "install" in rest]

    assert len(installs) == 1
    assert "--require-hashes -r requirements.lock" in installs[0]
    assert not [rest for word, rest in final_stage(dockerfile) if word == "RUN" and re.search(r"\b(apt|pip)\b", rest)]


def test_the_process_gets_its_signals(dockerfile):
    (command,) = [rest for word, rest in dockerfile if word == "CMD"]

    assert yaml.safe_load(command) == ["python", "-m", "gateway"]
    assert not [word for word, _ in dockerfile if word in ("ENTRYPOINT", "HEALTHCHECK")]


def test_the_image_has_its_environment(dockerfile):
    environment = " ".join(rest for word, rest in final_stage(dockerfile) if word == "ENV")

    assert {"EVENTLET_NO_GREENDNS=yes", "PYTHONUNBUFFERED=1"} <= set(environment.split())


def test_the_build_gets_what_it_copies_and_nothing_else(dockerfile):
    copied = {
        source
        for word, rest in dockerfile
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    ignore = [line for line in text_of(".dockerignore").splitlines() if line and not line.startswith("#")]

    assert ignore[0] == "*"
    assert {line[1:] for line in ignore if line.startswith("!")} == copied
    assert [each for each in copied if not (ROOT / each).exists()] == []


def test_the_image_holds_every_package(dockerfile, setup_cfg):
    copied = {rest.split()[0] for word, rest in dockerfile if word == "COPY"}
    packages = {line.removesuffix("*") for line in setup_cfg["options.packages.find"]["include"].split()}

    assert packages <= copied
