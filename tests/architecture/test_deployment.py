"""docker-compose.yml says what it should; no Docker and no network is needed."""

from __future__ import annotations

import re

from deploy.local.system import HUGE_PAGES
from lib import __version__
from tests.architecture.files import COMPOSE_VARIABLE, PROCESSES, ROOT, SERVICES, check_schema, resolve, text_of

INFRASTRUCTURE = ("rabbitmq", "postgres", "redis")
VERSION = re.compile(r"v?\d+\.\d+(\.\d+)?([.-][\w.]+)?")


def seconds(text: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()
    return int(number) * {"s": 1, "m": 60}[unit]


def test_the_compose_file_follows_the_compose_specification():
    result = check_schema("vendor.compose-spec", ROOT / "docker-compose.yml")

    assert result.returncode == 0, result.stdout


def test_a_mistake_in_the_compose_file_would_be_found(tmp_path):
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(text_of("docker-compose.yml").replace("healthcheck:", "health_check:"), encoding="utf-8")

    assert check_schema("vendor.compose-spec", broken).returncode == 1


def test_the_whole_system_is_there(compose):
    assert set(compose["services"]) == {*PROCESSES, *INFRASTRUCTURE, "migrate"}


def test_every_variable_of_the_compose_file_has_a_default():
    code = "\n".join(line for line in text_of("docker-compose.yml").splitlines() if not line.lstrip().startswith("#"))
    variables = COMPOSE_VARIABLE.findall(code)

    assert variables
    assert [name or bare for name, default, bare in variables if not default] == []


def test_a_variable_has_one_default():
    defaults: dict[str, set[str]] = {}
    for name, default, _ in COMPOSE_VARIABLE.findall(text_of("docker-compose.yml")):
        defaults.setdefault(name, set()).add(default)

    assert {name: values for name, values in defaults.items() if len(values) > 1} == {}


def test_every_image_has_an_exact_version(compose):
    images = [service["image"] for service in compose["services"].values()]

    assert len(images) == len(compose["services"])
    assert [each for each in images if not VERSION.fullmatch(each.partition(":")[2])] == []


def test_passwords_are_hashed_in_the_same_memory_everywhere(compose):
    told = {
        name: each["environment"].get("GLIBC_TUNABLES")
        for name, each in compose["services"].items()
        if "environment" in each
    }

    assert told.pop("auth_svc") == HUGE_PAGES
    assert set(told.values()) == {None}


def test_rabbitmq_has_its_management_ui(compose):
    assert re.fullmatch(r"rabbitmq:4\.\d+\.\d+-management", compose["services"]["rabbitmq"]["image"])


def test_our_image_has_the_version_of_the_package(compose):
    images = {compose["services"][name]["image"] for name in (*PROCESSES, "migrate")}

    assert images == {f"leveret:{__version__}"}


def test_only_the_gateway_can_be_reached_from_outside(compose):
    ports = {
        name: [resolve(each) for each in service.get("ports", [])] for name, service in compose["services"].items()
    }

    assert ports == {
        "gateway": ["3000:3000"],
        **{name: [f"127.0.0.1:{port}:{port}"] for name, port in SERVICES.items()},
        "migrate": [],
        "rabbitmq": ["127.0.0.1:5672:5672", "127.0.0.1:15672:15672"],
        "postgres": ["127.0.0.1:5432:5432"],
        "redis": ["127.0.0.1:6379:6379"],
    }


def test_every_lasting_container_is_watched_and_comes_back(compose):
    lasting = {name: each for name, each in compose["services"].items() if name != "migrate"}

    for name, service in lasting.items():
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"][0] == "CMD", name
    for name, port in {"gateway": 3000, **SERVICES}.items():
        path = "/health" if name == "gateway" else "/api/v1/health"
        assert f"http://127.0.0.1:{port}{path}'" in lasting[name]["healthcheck"]["test"][-1]


def test_containers_start_in_order(compose):
    services = compose["services"]

    def waits_for(name: str) -> dict[str, str]:
        return {other: each["condition"] for other, each in services[name]["depends_on"].items()}

    assert waits_for("migrate") == {"rabbitmq": "service_healthy", "postgres": "service_healthy"}
    for name in SERVICES:
        assert waits_for(name)["migrate"] == "service_completed_successfully"
    assert waits_for("gateway").items() >= dict.fromkeys((*SERVICES, "rabbitmq", "redis"), "service_healthy").items()


def test_the_migration_runs_once_for_every_service(compose):
    migrate = compose["services"]["migrate"]

    assert migrate["restart"] == "no"
    for name in SERVICES:
        assert name in resolve(migrate["command"][-1])
    assert "python -m lib.cli $service migrate" in resolve(migrate["command"][-1])


def test_processes_are_started_without_a_shell(compose):
    commands = {name: compose["services"][name]["command"] for name in PROCESSES}

    assert commands == {
        "gateway": ["python", "-m", "gateway"],
        **{name: ["python", "-m", "lib.runner", name] for name in SERVICES},
    }


def test_processes_have_time_to_drain(compose, settings):
    for name in PROCESSES:
        assert seconds(resolve(compose["services"][name]["stop_grace_period"])) > float(settings["DRAIN_TIMEOUT"])


def test_processes_have_no_rights_they_do_not_need(compose):
    for name in (*PROCESSES, "migrate"):
        service = compose["services"][name]
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"] is True
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service
        assert "user" not in service, "the image says who runs it"


def test_each_process_knows_its_own_credentials_only(compose):
    values = {}
    for name in PROCESSES:
        environment = compose["services"][name]["environment"]
        values[name] = {
            variable
            for value in environment.values()
            if value is not None
            for variable, _, _ in COMPOSE_VARIABLE.findall(str(value))
        }
        assert environment["AMQP_URI"].startswith(f"amqp://{name}:")

    assert values == {
        "gateway": {"GATEWAY_AMQP_PASSWORD"},
        "auth_svc": {"AUTH_AMQP_PASSWORD", "AUTH_APP_PASSWORD"},
        "users_svc": {"USERS_AMQP_PASSWORD", "USERS_APP_PASSWORD"},
        "payments_svc": {"PAYMENTS_AMQP_PASSWORD", "PAYMENTS_APP_PASSWORD"},
    }


def test_the_gateway_has_no_way_to_a_database(compose):
    networks = {name: set(service["networks"]) for name, service in compose["services"].items()}

    assert not networks["gateway"] & networks["postgres"]
    assert not networks["auth_svc"] & networks["redis"]
    for name in (*SERVICES, "migrate"):
        assert networks[name] & networks["postgres"]
    for name in (*PROCESSES, "migrate"):
        assert networks[name] & networks["rabbitmq"]


def test_every_setting_reaches_the_processes(compose, settings):
    # Ports are fixed in the containers; compose publishes them where these say.
    published = {"GATEWAY_PORT", "AUTH_HTTP_PORT", "USERS_HTTP_PORT", "PAYMENTS_HTTP_PORT"}
    handed = {name for each in (*PROCESSES, "migrate") for name in compose["services"][each]["environment"]}

    # The C library's own, which is no setting of ours.
    assert handed - {"GLIBC_TUNABLES"} == set(settings) - published


def test_mounted_files_exist(compose):
    mounts = [
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
        if volume.startswith(".")
    ]

    assert mounts
    assert [each for each in mounts if not (ROOT / each).exists()] == []


def test_named_volumes_are_declared(compose):
    named = {
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
        if not volume.startswith(".")
    }

    assert named == set(compose["volumes"])
