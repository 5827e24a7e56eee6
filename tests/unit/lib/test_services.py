"""Finding a service by its name, and building its ports once."""

import subprocess
import sys
from pathlib import Path

import pytest
from eventlet import patcher
from nameko.exceptions import CommandError
from nameko.extensions import Extension

from lib import offload, services
from lib.broker import Broker
from lib.container import Container
from lib.database import Database
from lib.provide import Provide
from lib.queue_consumer import QueueConsumer
from lib.services import rules_of, service_class
from tests.services.probe import ProbeService
from tests.unit.lib.test_config import real

ROOT = Path(__file__).parents[3]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """``package("made_svc", "…", "…")`` writes a service's package: its service module, and its bootstrap."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name, service, bootstrap=""):
        folder = tmp_path / name / "presentation"
        folder.mkdir(parents=True)
        (folder.parent / "__init__.py").touch()
        (folder / "__init__.py").touch()
        (folder / "service.py").write_text(service)
        (folder.parent / "bootstrap.py").write_text(bootstrap)

    return write


ONE = "from nameko.rpc import rpc\nclass {0}:\n    name = 'made_svc'\n    @rpc\n    def f(self): ...\n"


def test_a_package_s_one_service_class_is_found(package):
    package("made_one_svc", ONE.format("Made"))
    assert service_class("made_one_svc").__name__ == "Made"


def test_a_module_in_full_is_a_name_too():
    assert service_class("tests.services.probe") is ProbeService
    assert service_class("tests.services.probe:ProbeService") is ProbeService


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such_svc", "no_such_svc"),
        ("tests.services.nothing", "nothing"),
        ("tests.services.probe:Nothing", "Nothing"),
        ("tests.support.waiting", "tests.support.waiting"),
    ],
)
def test_no_service_is_an_error_that_names_it(name, said):
    with pytest.raises(CommandError, match=said):
        service_class(name)


def test_two_services_in_one_module_are_an_error(package):
    package("made_two_svc", ONE.format("First") + ONE.format("Second").replace("made_svc", "other_svc"))
    with pytest.raises(CommandError, match="holds 2 service classes"):
        service_class("made_two_svc")


def test_a_module_that_imports_what_is_not_there_says_what(package):
    package("made_broken_svc", "import there_is_no_such_module")
    with pytest.raises(CommandError, match="there_is_no_such_module"):
        service_class("made_broken_svc")


def test_a_services_own_rules(package):
    package("made_rules_svc", "", "CONFIG = {'X': print}\n")
    assert rules_of("made_rules_svc") == {"X": print}
    package("made_plain_svc", "")
    assert rules_of("made_plain_svc") == {}
    assert rules_of("tests.services.probe") == {}


def test_rules_of_nothing():
    with pytest.raises(CommandError, match="no_such_svc"):
        rules_of("no_such_svc")


def test_nothing_here_replaces_the_standard_library_for_the_process():
    assert services
    assert not any(patcher.is_monkey_patched(name) for name in ("thread", "socket", "select", "time"))


def test_off_the_hub_is_a_plain_call_where_there_is_no_hub():
    assert offload.offload(lambda a, *, b: (a, b), 1, b=2) == (1, 2)
    with pytest.raises(ZeroDivisionError):
        offload.offload(lambda: 1 // 0)


# --- ports ----------------------------------------------------------------------------------------------------------


class Client(Extension):
    """An extension with a client, as `ServiceRpc` is."""

    def __init__(self, name):
        self.name = name

    def client(self):
        return f"client of {self.name} for {self.container.service_name}"


class Recording:
    def __init__(self):
        self.calls = []

    def begin(self, sessions):
        self.calls.append(("begin", sessions))

    def finish(self):
        self.calls.append("finish")


@pytest.fixture
def built():
    """The arguments of each time that the ports were built."""
    return []


@pytest.fixture
def container(built):
    def build(config, sessions, **clients):
        built.append((config, sessions, clients))
        return object()

    class Service:
        name = "some_svc"
        ports = Provide(build, database=Database(), other=Client("other_svc"), third=Client("third_svc"))

    config = real()
    return Container(Service, {**config, "DB_URIS": {"some_svc:Base": config["DB_URIS"]["users_svc:Base"]}})


def provider_of(container):
    (provider,) = [each for each in container.dependencies if isinstance(each, Provide)]
    return provider


def test_declaring_a_service_builds_nothing(container, built):
    assert built == []
    assert provider_of(container).ports is None


def test_ports_are_built_once_with_the_configuration_sessions_and_clients(container, built):
    provider = provider_of(container)
    provider.setup()
    ((config, sessions, clients),) = built
    assert config is container.config
    assert sessions is provider.database.open()
    assert clients == {
        "other": "client of other_svc for some_svc",
        "third": "client of third_svc for some_svc",
    }
    assert provider.get_dependency(None) is provider.get_dependency(None) is provider.ports


def test_the_relay_runs_from_start_to_stop(container):
    provider = provider_of(container)
    provider.relay = Recording()
    provider.setup()
    provider.start()
    provider.stop()
    assert provider.relay.calls == [("begin", provider.database.open()), "finish"]


def test_one_connection_for_sending_and_one_for_consuming_serve_the_whole_container():
    extensions = Container(ProbeService, real()).extensions
    assert len([each for each in extensions if isinstance(each, Broker)]) == 1
    assert len([each for each in extensions if isinstance(each, QueueConsumer)]) == 1


def test_two_containers_share_nothing():
    first, second = Container(ProbeService, real()), Container(ProbeService, real())
    assert not set(first.extensions) & set(second.extensions)


# --- fault points ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("armed", "code", "reached"),
    [
        (None, 0, 3),
        ("", 0, 3),
        ("another.place", 0, 3),
        ("here", -9, 0),
        ("here:1", -9, 0),
        ("here:3", -9, 2),
        ("here:4", 0, 3),
    ],
)
def test_a_process_dies_where_and_when_it_is_told_to(armed, code, reached):
    program = "from lib import faultpoint\nfor n in range(3):\n faultpoint.reach('here'); print(n, flush=True)"
    environ = {"PYTHONPATH": str(ROOT)} | ({} if armed is None else {"FAULT_POINT": armed})
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, timeout=30, check=False)
    assert (done.returncode, len(done.stdout.split())) == (code, reached)
