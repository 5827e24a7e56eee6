"""Private servers, really started: free ports, side by side, isolated databases, nothing lost, nothing left behind."""

import base64
import http.client
import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest

from deploy.local.console import LocalError
from deploy.local.infra import Infrastructure
from deploy.local.ports import is_free, wait_until
from deploy.local.processes import family, identity

PROJECT = Path(__file__).parents[3]


def connect(url):
    return psycopg2.connect(url.replace("+psycopg2", ""), connect_timeout=5)


def run_sql(url, statement):
    connection = connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else None
    finally:
        connection.close()


def redis(servers, *words):
    with socket.create_connection(("127.0.0.1", servers.ports["redis"]), timeout=5) as connection:
        connection.sendall(" ".join(words).encode() + b"\r\n")
        return connection.recv(100).decode()


def management(servers, method, path, body=None):
    address = urlsplit(servers.environment()["AMQP_MANAGEMENT_URL"])
    login = base64.b64encode(f"{address.username}:{address.password}".encode()).decode()
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    try:
        connection.request(method, path, json.dumps(body) if body else None, {"Authorization": f"Basic {login}"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def processes(servers):
    """Return all processes of the servers: pid -> identity."""
    found = {}
    for file in (servers.root / "run").glob("*.pid"):
        record = json.loads(file.read_text())
        found |= {record["pid"]: record["identity"], **family(record["pid"])}
    return found


def alive(found):
    return {pid for pid, name in found.items() if identity(pid) == name}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Two infrastructures that were started at the same time."""
    two = [Infrastructure(tmp_path_factory.mktemp(f"servers{number}"), preferred=False) for number in (1, 2)]
    try:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(Infrastructure.start, two))
        yield two
    finally:
        for servers in two:
            servers.destroy()


@pytest.fixture
def servers(both):
    return both[0]


def test_two_run_side_by_side(both):
    first, second = both

    assert not set(first.ports.values()) & set(second.ports.values())
    assert len(set(first.ports.values())) == len(first.ports) == 6
    for each in both:
        assert all(part.running for part in each.parts)
        assert management(each, "GET", "/api/overview")[0] == 200
        assert redis(each, "PING") == "+PONG\r\n"
        for name, url in each.environment().items():
            if "DATABASE_URL" in name or "SUPERUSER" in name:
                assert run_sql(url, "SELECT 1") == [(1,)], name


def test_a_second_start_changes_nothing(servers):
    before = processes(servers)

    servers.start()

    assert processes(servers).keys() >= before.keys()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has more than one loopback address by itself")
def test_they_listen_on_the_loopback_address_only(servers):
    """Whatever listens on all interfaces would take the same port on another loopback address as well."""
    for name, port in servers.ports.items():
        assert not is_free(port), name
        assert is_free(port, "127.0.0.2"), f"{name} listens on more than 127.0.0.1"


@pytest.mark.parametrize("role", ["users_app", "users_owner"])
@pytest.mark.parametrize("database", ["auth", "payments", "postgres", "template1"])
def test_no_service_reads_another_ones_database(servers, role, database):
    url = servers.environment()["AUTH_DATABASE_URL"]

    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        connect(url.replace("auth_app:auth_app", f"{role}:{role}").replace("/auth", f"/{database}"))


def test_the_app_role_changes_rows_and_the_owner_tables(servers):
    environment = servers.environment()
    app, owner = environment["USERS_DATABASE_URL"], environment["USERS_MIGRATION_DATABASE_URL"]

    run_sql(owner, "CREATE TABLE thing (id int)")
    run_sql(owner, "GRANT SELECT, INSERT ON thing TO users_app")
    run_sql(app, "INSERT INTO thing VALUES (1)")

    for statement in ("CREATE TABLE other (id int)", "CREATE SCHEMA other", "CREATE TEMP TABLE other (id int)"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            run_sql(app, statement)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        run_sql(app, "DROP TABLE thing")
    run_sql(owner, "DROP TABLE thing")


def test_a_wrong_password_is_refused(servers):
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        connect(servers.environment()["AUTH_DATABASE_URL"].replace(":auth_app@", ":wrong@"))


def test_ctl_reaches_the_private_node(both):
    first, second = both
    management(first, "PUT", "/api/queues/%2F/only-here", {"durable": True})

    assert "only-here" in first.rabbitmq.ctl("-q", "list_queues", "name")
    assert "only-here" not in second.rabbitmq.ctl("-q", "list_queues", "name")
    with pytest.raises(LocalError, match="rabbitmqctl no_such_command failed"):
        first.rabbitmq.ctl("no_such_command")


def test_a_crash_keeps_ports_and_what_was_committed(both):
    servers = both[1]
    owner = servers.environment()["AUTH_MIGRATION_DATABASE_URL"]
    run_sql(owner, "CREATE TABLE crash (id int)")
    run_sql(owner, "INSERT INTO crash VALUES (7)")
    management(servers, "PUT", "/api/queues/%2F/crash", {"durable": True})
    # RabbitMQ writes its own catalogue of queues with a delay of some seconds.
    servers.rabbitmq.ctl("eval", "mnesia:sync_log().")
    ports, before = dict(servers.ports), processes(servers)

    for part in servers.parts:
        part.kill()
    assert wait_until(lambda: not alive(before), 5)
    assert servers.ended() == servers.parts
    servers.start()

    assert servers.ports == ports
    assert run_sql(owner, "SELECT id FROM crash") == [(7,)]
    assert management(servers, "GET", "/api/queues/%2F/crash")[0] == 200


def test_an_orderly_stop_leaves_no_process_and_loses_nothing(both):
    first = both[0]
    run_sql(first.environment()["AUTH_MIGRATION_DATABASE_URL"], "CREATE TABLE kept AS SELECT 9 AS id")
    management(first, "PUT", "/api/queues/%2F/kept", {"durable": True})
    redis(first, "SET", "kept", "yes")
    ports, running = dict(first.ports), processes(first)
    assert len(running) > 8

    first.stop()

    assert not alive(running)
    assert not list((first.root / "run").glob("*.pid"))

    # The next session knows nothing of the first but its folder.
    second = Infrastructure(first.root, preferred=False)
    try:
        second.start()
        assert second.ports == ports
        assert run_sql(second.environment()["AUTH_DATABASE_URL"], "SELECT 1") == [(1,)]
        assert run_sql(second.environment()["AUTH_MIGRATION_DATABASE_URL"], "SELECT id FROM kept") == [(9,)]
        assert management(second, "GET", "/api/queues/%2F/kept")[0] == 200
        assert redis(second, "GET", "kept") == "$3\r\nyes\r\n"
        running = processes(second)
    finally:
        second.destroy()

    assert not alive(running)
    assert not first.root.exists()


def test_the_next_session_stops_leftovers(tmp_path):
    first = Infrastructure(tmp_path, preferred=False, parts=["redis"])
    first.start()
    before = processes(first)
    said = []

    second = Infrastructure(tmp_path, preferred=False, parts=["redis"], say=said.append)
    with second:
        assert not alive(before)
        assert redis(second, "PING") == "+PONG\r\n"

    assert len(said) == 1
    assert "stopping redis, left over from an earlier session" in said[0]
    first.destroy()


def test_a_killed_session_leaves_nothing_running(tmp_path):
    """Nobody can catch SIGKILL; the guard at the other end of the pipe notices."""
    script = (
        "import sys, pathlib\n"
        "from deploy.local.infra import Infrastructure\n"
        "Infrastructure(pathlib.Path(sys.argv[1]), preferred=False, parts=['redis']).start()\n"
        "print('up', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as session:
        assert session.stdout.readline() == b"up\n"
        record = json.loads((tmp_path / "run" / "redis.pid").read_text())
        assert identity(record["pid"]) == record["identity"]

        session.kill()

    assert wait_until(lambda: identity(record["pid"]) is None, 15)
    assert wait_until(lambda: not (tmp_path / "run" / "redis.pid").exists(), 5)


def test_a_server_that_cannot_start_says_why_with_its_log(tmp_path):
    servers = Infrastructure(tmp_path, preferred=False, parts=["redis"])
    (tmp_path / "redis" / "data").mkdir(parents=True)
    (tmp_path / "redis" / "data" / "dump.rdb").write_bytes(b"this is no dump")

    with pytest.raises(LocalError, match=r"Redis ended while it was starting; the end of .*/log/redis\.log:\n"):
        servers.start()

    assert not list((tmp_path / "run").glob("*.pid"))
    servers.destroy()


def test_a_standard_port_that_is_taken_is_left_alone(tmp_path):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        servers = Infrastructure(tmp_path, preferred=True, parts=["redis"])
        servers.redis.standard_ports = {"redis": taken.getsockname()[1]}
        with servers:
            assert servers.ports["redis"] != taken.getsockname()[1]
            assert redis(servers, "PING") == "+PONG\r\n"
    servers.redis.standard_ports = {"redis": servers.ports["redis"]}
    servers.destroy()


def test_throw_away_settings_are_not_for_the_standard_ports(tmp_path):
    with pytest.raises(ValueError, match="durable"):
        Infrastructure(tmp_path, preferred=True, durable=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand PostgreSQL to another user")
def test_as_root_the_database_runs_as_another_user_where_that_user_can_go(both):
    for servers in both:
        pid = servers.postgres.daemon.pid
        assert pid is None or os.stat(f"/proc/{pid}").st_uid != 0


def test_signals_of_the_terminal_do_not_reach_the_servers(both):
    """Ctrl-C goes to a whole group of processes; the servers are in groups of their own."""
    for part in both[1].parts:
        assert part.daemon.pid is not None
        assert os.getpgid(part.daemon.pid) == part.daemon.pid != os.getpgrp()
