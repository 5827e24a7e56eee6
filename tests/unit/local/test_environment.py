"""The `.env` file, the names that are ours, and `.local/env`."""

import subprocess
from pathlib import Path

import pytest

from deploy.local import environment
from deploy.local.console import LocalError


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=1", "1"),
        ("  A = 1  ", "1"),
        ("export A=1", "1"),
        ("A=", ""),
        ("A= # nothing", ""),
        ("A=a b c", "a b c"),
        ("A=a#b", "a#b"),
        ("A=a # b", "a"),
        ("A='a # b'  # c", "a # b"),
        ("A='$HOME\\n'", "$HOME\\n"),
        ('A="a # b"', "a # b"),
        ('A="say \\"hi\\"\\n"', 'say "hi"\n'),
        ('A="5 \\$"', "5 $"),
        ("A=postgresql://u:p=w@h/d?x=1", "postgresql://u:p=w@h/d?x=1"),
        ("A='it'\\''s'", "it's"),
    ],
)
def test_a_line_of_the_env_file(line, value):
    assert environment.parse(line) == {"A": value}


def test_blank_lines_comments_and_later_values():
    assert environment.parse("\ufeff# head\n\nA=1\r\n#A=2\nB=2\nA=3\n") == {"A": "3", "B": "2"}


@pytest.mark.parametrize("line", ["just words", "1A=x", "A B=x", "A='open", 'A="open', "A='x' y"])
def test_a_line_that_means_nothing_is_named_without_its_value(line):
    with pytest.raises(LocalError, match=r"\.env, line 2: ") as caught:
        environment.parse(f"# first\n{line}\n")

    assert line not in str(caught.value)


def test_a_missing_file_is_an_empty_one(tmp_path):
    assert environment.read(tmp_path / ".env") == {}


def test_the_environment_wins_over_the_file_and_empty_counts_as_not_set():
    given = {"LOG_LEVEL": "DEBUG", "REDIS_URL": "", "EMPTY": "", "HOME": "/home/me"}
    dotenv = {"LOG_LEVEL": "INFO", "REDIS_URL": "redis://there", "AMQP_URI": ""}

    assert environment.effective(given, dotenv) == {
        "LOG_LEVEL": "DEBUG",
        "REDIS_URL": "redis://there",
        "EMPTY": "",
        "HOME": "/home/me",
    }


@pytest.mark.parametrize(
    "name",
    [
        "APP_ENV",
        "AMQP_URI",
        "AUTH_DATABASE_URL",
        "USERS_MIGRATION_DATABASE_URL",
        "PAYMENTS_DATABASE_URL_FILE",
        "REDIS_URL",
        "GATEWAY_PORT",
        "AUTH_HTTP_PORT",
        "SERVICE_INSTANCES",
        "PUBLIC_URL",
        "SMTP_URL",
        "MAIL_FROM",
        "SECRET_KEY",
        "SECRET_KEY_FILE",
        "JWT_ISSUER",
        "ACCESS_TOKEN_TTL",
        "REFRESH_TOKEN_TTL",
        "REFRESH_GRACE",
        "SESSION_IDLE_TTL",
        "RPC_TIMEOUT",
        "PROVIDER_TIMEOUT",
        "DB_STATEMENT_TIMEOUT",
        "DRAIN_TIMEOUT",
        "PRIVATE_REGISTRATION",
        "OPEN_INVITATIONS",
        "PAYMENTS_SELF_SERVICE",
        "IDEMPOTENCY_TTL",
        "UNKNOWN_CHECK_SCHEDULE",
        "METRICS_TOKEN",
        "OIDC_ACME_CLIENT_SECRET",
        "STRIPE_API_BASE",
        "SANDBOX_LATENCY_MS",
        "RATE_LIMITS",
        "TRUSTED_PROXIES",
        "CORS_ORIGINS",
        "LOG_FORMAT",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "PGPASSWORD",
        "RABBITMQ_NODENAME",
        "ERL_LIBS",
        "A_NEW_SETTING",
        "A_NEW_SETTING_FILE",
    ],
)
def test_tests_start_without_any_given_setting(name, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text('NEW: ${A_NEW_SETTING:1}\nOLD: !raw_env_var "${LOG_LEVEL}"\n')

    left = environment.scrub({name: "given", "PATH": "/bin", "HOME": "/root"}, environment.names_in(config))

    assert left == {"PATH": "/bin", "HOME": "/root"}


def test_this_machine_is_reached_without_a_proxy():
    environ = environment.direct({"NO_PROXY": "example.com,localhost", "http_proxy": "http://proxy"})

    assert environ["NO_PROXY"] == "example.com,localhost,127.0.0.1"
    assert environ["no_proxy"] == "localhost,127.0.0.1"
    assert environ["http_proxy"] == "http://proxy"


def test_the_file_for_the_shell_is_read_back_by_shell_and_parser(tmp_path):
    values = {"A": "plain", "B": "two words # $HOME `id` \\", "C": 'it\'s "quoted"', "D": "grün"}
    path = tmp_path / "env"

    environment.write(path, values)

    script = 'set -a; . "$1"; set +a; exec env'
    printed = subprocess.run(
        ["bash", "-c", script, "bash", str(path)], capture_output=True, encoding="utf-8", check=True, env={}
    ).stdout
    assert values.items() <= dict(line.partition("=")[::2] for line in printed.splitlines()).items()
    assert environment.read(path) == values
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_file_for_the_shell_keeps_its_mode_when_written_again(tmp_path):
    path = tmp_path / "env"
    for value in ("1", "2"):
        environment.write(path, {"A": value})

    assert path.read_text() == "A=2\n"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("value", ["x", "0", "-1", "65536", "1.5", "٣"])
def test_a_port_that_is_none_is_refused_with_its_name(value):
    with pytest.raises(LocalError, match="GATEWAY_PORT: expected a whole number from 1 to 65535"):
        environment.number({"GATEWAY_PORT": value}, "GATEWAY_PORT", 3000, 1, 65535)


def test_numbers_have_defaults():
    assert environment.number({}, "GATEWAY_PORT", 3000, 1, 65535) == 3000
    assert environment.number({"GATEWAY_PORT": "80"}, "GATEWAY_PORT", 3000, 1, 65535) == 80


def test_every_setting_of_the_example_is_known_here():
    example = Path(__file__).parents[3] / ".env.example"
    names = {line.lstrip("#").partition("=")[0] for line in example.read_text().splitlines() if "=" in line}
    settings = {name for name in names if environment.NAME.fullmatch(name) and name.isupper()}
    known = environment.names_in(example.with_name("config.yaml"))

    assert settings
    unknown = {name for name in settings if not environment.is_ours(name)} - known
    compose = example.with_name("docker-compose.yml").read_text()
    # A setting of Docker Compose alone is none of our processes'.
    assert {name for name in unknown if f"${{{name}" not in compose} == set()
