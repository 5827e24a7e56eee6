"""Configuration: read once, checked at the start, wrong means no start and one line that says why."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib import config as configuration
from lib.config import ConfigError

ROOT = Path(__file__).parents[3]
REAL = ROOT / "config.yaml"
LONG_KEY = "k" * 40
PRODUCTION = {
    "APP_ENV": "production",
    "SECRET_KEY": LONG_KEY,
    "METRICS_TOKEN": "m" * 32,
    "AMQP_URI": "amqp://auth_svc:strong-password@rabbitmq/",
    "AUTH_DATABASE_URL": "postgresql+psycopg2://auth_app:strong-password@db/auth",
    "USERS_DATABASE_URL": "postgresql+psycopg2://users_app:strong-password@db/users",
    "PAYMENTS_DATABASE_URL": "postgresql+psycopg2://payments_app:strong-password@db/payments",
    "AUTH_MIGRATION_DATABASE_URL": "postgresql+psycopg2://auth_owner:strong-password@db/auth",
    "USERS_MIGRATION_DATABASE_URL": "postgresql+psycopg2://users_owner:strong-password@db/users",
    "PAYMENTS_MIGRATION_DATABASE_URL": "postgresql+psycopg2://payments_owner:strong-password@db/payments",
}


def real(**environ):
    return configuration.load(REAL, environ=dict(environ))


@pytest.fixture
def written(tmp_path):
    """``written("A: ${B}", B="1")`` → what comes out of a file with that text."""

    def load(text, **environ):
        path = tmp_path / "config.yaml"
        path.write_text(text, encoding="utf-8")
        return configuration.load(path, environ=environ)

    return load


def refusal(config, rules=None):
    """Return the one line that says why `config` is refused."""
    with pytest.raises(ConfigError) as caught:
        configuration.check(config, rules)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- reading --------------------------------------------------------------------------------------------------------


def test_the_defaults_of_the_real_file_pass_their_own_check():
    configuration.check(real())


def test_a_value_comes_from_the_environment_before_the_default():
    assert real()["RPC_TIMEOUT"] == 5
    assert real(RPC_TIMEOUT="7")["RPC_TIMEOUT"] == 7


def test_the_real_file_means_to_us_what_it_means_to_nameko_run():
    code = (
        "import json, sys, yaml; from nameko.cli.main import setup_yaml_parser; setup_yaml_parser();"
        "print(json.dumps(yaml.safe_load(open(sys.argv[1]))))"
    )
    environ = {"EVENT_RETRY_DELAYS": "0.2,0.4", "MAX_WORKERS": "0123", "AMQP_URI": "amqp://a:b@c/v", "LOG_LEVEL": "no"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(REAL)],
        env={"PATH": "", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout) == real(**environ)


@pytest.mark.parametrize(
    ("text", "environ", "value"),
    [
        ("${A:5}", {}, 5),
        ("${A:5}", {"A": "6"}, 6),
        ("${A:5}", {"A": ""}, None),
        ("${A:}", {}, None),
        ("${A:null}", {}, None),
        ("${A:a,b}", {}, "a,b"),
        ("${A:http://h:1/p}", {}, "http://h:1/p"),
        ("${A:x}-${B:y}", {"B": "z"}, "x-z"),
        ("${A:1}${B:2}", {}, 12),
        ("plain", {}, "plain"),
        ("$HOME", {"HOME": "h"}, "$HOME"),
        # What YAML 1.1 makes of innocent texts; that is why secrets and names are `!raw_env_var`.
        ("${A:0}", {"A": "0123"}, 83),
        ("${A:0}", {"A": "yes"}, True),
        ("${A:0}", {"A": "off"}, False),
        ("${A:0}", {"A": "1_000"}, 1000),
        ("${A:0}", {"A": "1e3"}, "1e3"),
        ("!raw_env_var '${A:0}'", {"A": "0123"}, "0123"),
        ("!raw_env_var '${A:0}'", {"A": "yes"}, "yes"),
        ("!raw_env_var '${A:0}'", {"A": "{x: 1}"}, "{x: 1}"),
        ("!raw_env_var '${A:}'", {}, ""),
        ("'${A:5}'", {"A": "6"}, "${A:5}"),
    ],
)
def test_substitution(written, text, environ, value):
    assert written(f"key: {text}", **environ)["key"] == value


def test_substitution_reaches_into_sections_and_lists(written):
    assert written("a:\n  b:\n    - !raw_env_var '${Y:2}'\n    - ${Z:3}", Z="9") == {"a": {"b": ["2", 9]}}


@pytest.mark.parametrize(
    ("text", "environ", "said"),
    [
        ("key: ${NAME}", {}, "NAME is not set"),
        ("key: !raw_env_var '${NAME}'", {}, "NAME is not set"),
        ("a:\n  b:\n    - ${DEEP}", {}, "DEEP is not set"),
        ("key: [", {}, "config.yaml"),
        ("key: ${A:1}", {"A": "[1"}, "config.yaml"),
        ("key: ${A:1}", {"A": "a: b: c"}, "config.yaml"),
        ("key: ${A:1}", {"A": "!!python/object:os.system x"}, "config.yaml"),
        ("- a\n- b", {}, "not a mapping"),
        ("", {}, "not a mapping"),
    ],
)
def test_what_cannot_be_read_is_one_line(written, text, environ, said):
    with pytest.raises(ConfigError) as caught:
        written(text, **environ)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["2026-99-99", "0x_", "0b_"])
def test_a_value_that_yaml_takes_for_a_broken_date_or_number_is_one_line(written, value):
    with pytest.raises(ConfigError):
        written("key: ${A:1}", A=value)


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing\.yaml: No such file"):
        configuration.load(tmp_path / "nothing.yaml", environ={})


def test_our_loader_leaves_everybody_elses_yaml_alone(written):
    import yaml

    written("a: ${X:1}")
    assert yaml.safe_load("a: ${X:1}") == {"a": "${X:1}"}


# --- secrets from files ---------------------------------------------------------------------------------------------


def test_a_secret_is_read_from_the_file_that_its_name_with_file_names(tmp_path):
    file = tmp_path / "secret"
    file.write_text(" from the file\n", encoding="utf-8")
    environ = {"SECRET_KEY_FILE": str(file)}
    configuration.read_secret_files(environ, ["SECRET_KEY", "METRICS_TOKEN"])
    assert environ == {"SECRET_KEY_FILE": str(file), "SECRET_KEY": "from the file"}


def test_a_value_that_is_given_wins_over_its_file(tmp_path):
    environ = {"SECRET_KEY": "given", "SECRET_KEY_FILE": str(tmp_path / "is not even there")}
    configuration.read_secret_files(environ, ["SECRET_KEY"])
    assert environ["SECRET_KEY"] == "given"


def test_files_of_variables_that_the_configuration_does_not_name_are_left_alone():
    assert real(AWS_WEB_IDENTITY_TOKEN_FILE="/nowhere", PID_FILE="/nowhere")


def test_a_secret_file_that_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"^SECRET_KEY_FILE: cannot read .*: No such file or directory$"):
        configuration.read_secret_files({"SECRET_KEY_FILE": str(tmp_path / "nothing")}, ["SECRET_KEY"])


def test_a_secret_file_that_is_no_text_is_one_line(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"^SECRET_KEY_FILE: .* is not UTF-8 text$"):
        real(SECRET_KEY_FILE=str(tmp_path / "binary"))


def test_a_configuration_that_is_no_text_is_one_line(tmp_path):
    (tmp_path / "config.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"not UTF-8 text$"):
        configuration.load(tmp_path / "config.yaml", environ={})


def test_load_reads_secret_files(tmp_path):
    (tmp_path / "uri").write_text("amqp://from:file@host/\n", encoding="utf-8")
    assert real(AMQP_URI_FILE=str(tmp_path / "uri"))["AMQP_URI"] == "amqp://from:file@host/"


# --- checking -------------------------------------------------------------------------------------------------------

WRONG = [
    ("SERVICE_HTTP_HOST", ["", None, 5]),
    ("APP_ENV", ["staging", "", None, 1, ["development"]]),
    ("AMQP_URI", ["http://h", "", None, 5, "rabbitmq"]),
    ("HEARTBEAT", [0, 3601, "10", True, 1.5, None]),
    ("max_workers", [0, 1001, "16", False, None]),
    ("EVENT_QUEUE_TYPE", ["stream", None, True]),
    ("EVENT_RETRY_DELAYS", ["", "soon", "1,,2", "-1", "0", "3601", None, "1;2", True]),
    ("EVENT_DELIVERY_LIMIT", [0, -1, "5", None]),
    ("SECRET_KEY", ["", None, 5]),
    ("JWT_ISSUER", ["", None, True]),
    ("JWT_AUDIENCE", ["", None, 0]),
    ("DB_STATEMENT_TIMEOUT", [0, -1, 601, "3", True, None]),
    ("DB_POOL_SIZE", [0, -1, 1001, "16", True, None]),
    ("OFFLOAD_WAIT", [0, -1, 601, "2", True, None]),
    ("RPC_TIMEOUT", [0, 601, "5", True, None]),
    ("DRAIN_TIMEOUT", [0, 0.5, 601, "20", None]),
    ("LOG_LEVEL", ["LOUD", "info", None]),
    ("LOG_FORMAT", ["xml", None]),
]


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG for value in values])
def test_a_wrong_value_is_refused_by_name(name, value):
    assert refusal({**real(), name: value}).startswith(f"{name}: ")


@pytest.mark.parametrize("name", [*configuration.COMMON, "DB_URIS", "MIGRATION_DB_URIS", "HTTP_PORTS", "WORKERS"])
def test_a_value_that_is_not_there_is_refused_by_name(name):
    config = real()
    del config[name]
    assert refusal(config) == f"{name}: missing"


def test_every_common_rule_has_wrong_values_above():
    assert {name for name, _ in WRONG} == set(configuration.COMMON)


@pytest.mark.parametrize("section", ["DB_URIS", "MIGRATION_DB_URIS"])
@pytest.mark.parametrize("uri", ["postgresql://u:hunter2@h/d", "mysql://u:hunter2@h/d", None, ""])
def test_a_database_that_is_not_psycopg2s_is_refused_without_its_password(section, uri):
    said = refusal({**real(), section: {"some_svc:Base": uri}})
    assert said.startswith(f"{section}[some_svc:Base]: ")
    assert "hunter2" not in said


@pytest.mark.parametrize("port", [-1, 65536, "3001", None, True])
def test_a_wrong_port_is_refused(port):
    assert refusal({**real(), "HTTP_PORTS": {"some_svc": port}}).startswith("HTTP_PORTS[some_svc]: ")


@pytest.mark.parametrize("workers", [0, -1, 1001, "16", None, True])
def test_a_wrong_number_of_workers_is_refused(workers):
    assert refusal({**real(), "WORKERS": {"some_svc": workers}}).startswith("WORKERS[some_svc]: ")


@pytest.mark.parametrize("name", ["SECRET_KEY", "AMQP_URI"])
def test_a_wrong_secret_is_not_shown(name):
    assert "hunter2" not in refusal({**real(), name: ["hunter2"]})


@pytest.mark.parametrize(("statement", "rpc"), [(5, 5), (6, 5)])
def test_a_query_may_not_outlive_the_call_that_waits_for_it(statement, rpc):
    assert "DB_STATEMENT_TIMEOUT" in refusal({**real(), "DB_STATEMENT_TIMEOUT": statement, "RPC_TIMEOUT": rpc})


def test_a_services_own_rules_are_asked_too():
    rules = {"PROVIDER_TIMEOUT": configuration.seconds(1, 5)}
    configuration.check({**real(), "PROVIDER_TIMEOUT": 5}, rules)
    said = refusal({**real(), "PROVIDER_TIMEOUT": 6}, rules)
    assert said.startswith("PROVIDER_TIMEOUT: expected seconds from 1 to 5")


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20))
def test_whatever_the_environment_says_the_answer_is_a_configuration_or_one_line(value):
    said = ""
    try:
        configuration.check(real(MAX_WORKERS=value, RPC_TIMEOUT=value, LOG_LEVEL=value))
    except ConfigError as refused:
        said = str(refused)
    assert "\n" not in said


# --- production -----------------------------------------------------------------------------------------------------


def test_a_sound_production_configuration_passes():
    configuration.check(real(**PRODUCTION))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"SECRET_KEY": configuration.DEVELOPMENT_SECRET}, "SECRET_KEY"),
        ({"SECRET_KEY": f"{LONG_KEY},{configuration.DEVELOPMENT_SECRET}"}, "SECRET_KEY"),
        ({"SECRET_KEY": f"{LONG_KEY}, {configuration.DEVELOPMENT_SECRET} "}, "SECRET_KEY"),
        ({"SECRET_KEY": "k" * 31}, "SECRET_KEY"),
        ({"SECRET_KEY": f"{LONG_KEY},short"}, "SECRET_KEY"),
        ({"SECRET_KEY": f"{LONG_KEY},"}, "SECRET_KEY"),
        ({"RATE_LIMITS": "off"}, "RATE_LIMITS"),
        ({"METRICS_TOKEN": ""}, "METRICS_TOKEN"),
        ({"AMQP_URI": "amqp://guest:guest@rabbitmq/"}, "AMQP_URI"),
    ],
)
def test_unsafe_values_are_refused_in_production_and_allowed_in_development(change, said):
    assert refusal(real(**{**PRODUCTION, **change})).startswith(f"{said}: ")
    configuration.check(real(**{**PRODUCTION, **change, "APP_ENV": "development"}))


def test_a_fault_point_is_refused_in_production(monkeypatch):
    monkeypatch.setenv("FAULT_POINT", "relay.before_publish")
    assert refusal(real(**PRODUCTION)).startswith("FAULT_POINT: ")
    configuration.check(real())


@pytest.mark.parametrize(
    "change",
    [
        {"AMQP_URI": "amqp://rabbitmq/"},
        {"AMQP_URI": "amqp://guest@rabbitmq/"},
        {"AUTH_DATABASE_URL": "postgresql+psycopg2://auth_app:auth_app@db/auth"},
    ],
)
def test_default_credentials_are_refused_in_production(change):
    refusal(real(**{**PRODUCTION, **change}))


# --- small parts ----------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(min_value=0.001, max_value=3600), min_size=1, max_size=6))
def test_delays_are_what_was_written(values):
    assert configuration.delays("D", ",".join(map(repr, values))) == tuple(values)


@pytest.mark.parametrize(("value", "seconds"), [(5, (5.0,)), (0.5, (0.5,)), ("1, 5 ,30", (1.0, 5.0, 30.0))])
def test_delays_of_numbers_and_spaces(value, seconds):
    assert configuration.delays("D", value) == seconds


@pytest.mark.parametrize("value", ["nan", "inf", "1,nan", "-inf"])
def test_delays_are_finite(value):
    with pytest.raises(ConfigError):
        configuration.delays("D", value)


@pytest.mark.parametrize(
    ("value", "development", "production"),
    [
        (None, True, False),
        (1, True, True),
        ("1", True, True),
        (True, True, True),
        (0, False, False),
        ("0", False, False),
        (False, False, False),
    ],
)
def test_a_switch_is_on_in_development_and_off_in_production_unless_it_is_set(value, development, production):
    configuration.switch("S", value)
    assert configuration.flag({"APP_ENV": "development", "S": value}, "S") is development
    assert configuration.flag({"APP_ENV": "production", "S": value}, "S") is production


@pytest.mark.parametrize("value", [2, "yes", "on", "", [], "true"])
def test_other_words_are_no_switch(value):
    with pytest.raises(ConfigError, match=r"^S: "):
        configuration.switch("S", value)


@given(st.integers(), st.integers(0, 100), st.integers(100, 200))
def test_a_whole_number_is_in_its_range_or_refused(value, least, most):
    rule = configuration.integer(least, most)
    if least <= value <= most:
        rule("N", value)
    else:
        with pytest.raises(ConfigError, match=f"^N: expected a whole number from {least} to {most}"):
            rule("N", value)
