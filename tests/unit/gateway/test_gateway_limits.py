"""Rate limits, and where requests come from."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from limits.strategies import MovingWindowRateLimiter

from gateway.addresses import _remembered, client_address, limiting_key
from gateway.shapes import EXAMPLES
from lib.config import ConfigError
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import Configure

LOGIN = "/api/v1/auth/login"
LIMITED = [LOGIN, "/api/v1/auth/register", "/api/v1/users"]
NOWHERE = "redis+unix:///nonexistent/redis.sock"


def _post(client: FlaskClient, path: str, address: str = "192.0.2.1", **headers: str) -> Any:
    return client.post(path, json={}, headers=headers, environ_base={"REMOTE_ADDR": address})


@pytest.fixture
def limited(configure: Configure, cluster: FakeCluster) -> FlaskClient:
    """A client of an application with rate limits, counted in its memory."""
    return configure(RATE_LIMITS="on").test_client()


@pytest.mark.parametrize("path", LIMITED)
def test_the_eleventh_request_of_a_minute_is_refused(limited: FlaskClient, path: str) -> None:
    for _ in range(10):
        assert _post(limited, path).status_code == 422
    response = _post(limited, path)
    assert response.status_code == 429
    assert response.json["code"] == "rate_limited"
    assert response.json["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert response.json["violated-policies"] == ["minute"]
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert response.headers["RateLimit"].startswith('"minute";r=0;t=')


def test_refreshing_is_limited_less_strictly(limited: FlaskClient) -> None:
    codes = [_post(limited, "/api/v1/auth/refresh").status_code for _ in range(301)]
    assert codes == [422] * 300 + [429]


def test_every_answer_of_a_limited_route_tells_the_limits(limited: FlaskClient) -> None:
    response = _post(limited, LOGIN)
    assert response.headers["RateLimit-Policy"] == '"minute";q=10;w=60, "day";q=200;w=86400'
    assert response.headers["RateLimit"] == '"minute";r=9;t=60, "day";r=199;t=86400'
    assert not [name for name in response.headers.keys() if name.startswith("X-RateLimit")]  # noqa: SIM118


def test_other_routes_are_not_limited(limited: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]) -> None:
    cluster.answers["users_svc.get_profile"] = EXAMPLES["Profile"]
    for _ in range(20):
        response = limited.get("/api/v1/users/profile", headers=bearer)
        assert response.status_code == 200
        assert "RateLimit-Policy" not in response.headers


def test_each_address_and_each_route_has_its_own_count(limited: FlaskClient) -> None:
    for _ in range(11):
        _post(limited, LOGIN)
    assert _post(limited, LOGIN, "192.0.2.2").status_code == 422
    assert _post(limited, "/api/v1/users").status_code == 422
    assert _post(limited, LOGIN).status_code == 429


def test_an_alias_is_no_way_around(limited: FlaskClient) -> None:
    for prefix in ("", "/api", "/api/v1", "", "/api", "/api/v1", "", "/api", "/api/v1", ""):
        assert _post(limited, f"{prefix}/auth/login").status_code == 422
    assert _post(limited, "/api/auth/login").status_code == 429


def test_a_header_of_the_client_is_no_way_around(limited: FlaskClient) -> None:
    for number in range(10):
        _post(limited, LOGIN, **{"X-Forwarded-For": f"198.51.100.{number}"})
    assert _post(limited, LOGIN, **{"X-Forwarded-For": "198.51.100.99"}).status_code == 429


def test_behind_a_trusted_proxy_its_clients_are_counted(configure: Configure, cluster: FakeCluster) -> None:
    client = configure(RATE_LIMITS="on", TRUSTED_PROXIES="192.0.2.0/24").test_client()
    for _ in range(11):
        _post(client, LOGIN, **{"X-Forwarded-For": "203.0.113.5"})
    assert _post(client, LOGIN, **{"X-Forwarded-For": "203.0.113.5"}).status_code == 429
    assert _post(client, LOGIN, **{"X-Forwarded-For": "203.0.113.6"}).status_code == 422
    # What the client itself put in front counts for nothing.
    assert _post(client, LOGIN, **{"X-Forwarded-For": "1.1.1.1, 203.0.113.5"}).status_code == 429


def test_limits_come_before_tokens_and_bodies(limited: FlaskClient) -> None:
    for _ in range(10):
        limited.post("/api/v1/users", data=b"{", headers={"Authorization": "Bearer x"})
    assert limited.post("/api/v1/users", data=b"{").status_code == 429


@pytest.mark.parametrize("workers, share", [(1, 10), (2, 5), (3, 3), (64, 1)])
def test_without_redis_each_process_lets_its_share_pass(
    configure: Configure, cluster: FakeCluster, workers: int, share: int
) -> None:
    client = configure(NOWHERE, RATE_LIMITS="on", GATEWAY_WORKERS=workers).test_client()
    responses = [_post(client, LOGIN) for _ in range(share + 1)]
    assert [each.status_code for each in responses] == [422] * share + [429]
    assert 1 <= int(responses[-1].headers["Retry-After"]) <= 60
    assert responses[0].headers["RateLimit"].startswith(f'"minute";r={share - 1};t=60, "day";r=')
    assert _post(client, LOGIN, "192.0.2.2").status_code == 422


def test_a_redis_that_goes_away_while_it_counts_costs_nothing(
    limited: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any) -> Any:
        raise redis.ConnectionError

    monkeypatch.setattr(MovingWindowRateLimiter, "get_window_stats", gone)
    response = _post(limited, LOGIN)
    assert response.status_code == 422
    assert response.headers["RateLimit"] == '"minute";r=4;t=60, "day";r=99;t=86400'


def test_a_request_that_one_limit_refuses_is_not_counted_by_the_others(limited: FlaskClient) -> None:
    for _ in range(15):
        response = _post(limited, LOGIN)
    assert response.status_code == 429
    assert response.headers["RateLimit"].split(", ")[1].startswith('"day";r=190;t=')


def test_limits_can_be_switched_off(configure: Configure, cluster: FakeCluster) -> None:
    client = configure(RATE_LIMITS="off").test_client()
    for _ in range(30):
        response = _post(client, LOGIN)
        assert response.status_code == 422
        assert "RateLimit-Policy" not in response.headers


def test_limits_cannot_be_switched_off_in_production(configure: Configure) -> None:
    with pytest.raises(ConfigError, match="RATE_LIMITS"):
        configure(
            APP_ENV="production", SECRET_KEY="k" * 32, METRICS_TOKEN="m" * 32, AMQP_URI="amqp://gateway:x@localhost/"
        )


def test_each_application_counts_for_itself(configure: Configure, cluster: FakeCluster) -> None:
    first: Flask = configure(RATE_LIMITS="on")
    for _ in range(11):
        _post(first.test_client(), LOGIN)
    second: Flask = configure(RATE_LIMITS="on")
    assert _post(second.test_client(), LOGIN).status_code == 422


# --- addresses ---

PROXIES = (ip_network("10.0.0.0/8"), ip_network("::1/128"))


@pytest.mark.parametrize(
    ("remote", "forwarded", "expected"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        # Several hops, some of them ours.
        ("10.0.0.1", "1.1.1.1, 203.0.113.9, 10.0.0.3, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.9, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        # What a proxy of ours could not have written counts for the proxy: nobody gets a count of their own by it.
        ("10.0.0.1", "203.0.113.9, rubbish", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, _hidden", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9,", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, 1.2.3", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, 999.1.1.1", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, 1.2.3.4/8", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, 0x7f.0.0.1", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, 127.1", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, ١٢٧.0.0.1", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, [2001:db8::1", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, 203.0.113.8\0", "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", ",,,", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, unknown, 10.0.0.2", "10.0.0.2"),
        # An untrusted peer is who it is, whatever it says.
        ("192.0.2.1", "10.0.0.1", "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9, 10.0.0.1", "192.0.2.1"),
        ("192.0.2.1", "unknown", "192.0.2.1"),
        ("2001:db8::7", "203.0.113.9", "2001:db8::7"),
        ("::ffff:192.0.2.1", "203.0.113.9", "192.0.2.1"),
        ("11.0.0.1", "203.0.113.9", "11.0.0.1"),
        ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
        ("::1", "2001:db8::1", "2001:db8::1"),
        ("::ffff:10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        ("", "203.0.113.9", None),
        ("unix:", None, None),
    ],
)
def test_the_client_is_the_last_address_that_can_be_believed(
    remote: str, forwarded: str | None, expected: str | None
) -> None:
    environ = {"REMOTE_ADDR": remote} | ({"HTTP_X_FORWARDED_FOR": forwarded} if forwarded is not None else {})
    found = client_address(environ, PROXIES)
    assert (str(found) if found else None) == expected


def test_a_long_chain_of_proxies_is_not_read_for_ever() -> None:
    environ = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.9," + "10.0.0.2," * 10_000 + "10.0.0.2"}
    assert client_address(environ, PROXIES) == ip_address("10.0.0.2")


def test_long_hops_are_not_remembered() -> None:
    client_address({"REMOTE_ADDR": "10.0.0.1"}, PROXIES)
    before = _remembered.cache_info().currsize
    for number in range(50):
        for hop in ("x" * 60_000 + str(number), f"203.0.113.9:{number:060}", f"fe80::1%{number:057}"):
            environ = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": f"203.0.113.9, {hop}"}
            client_address(environ, PROXIES)
    assert _remembered.cache_info().currsize == before
    assert client_address(environ, PROXIES) == ip_address("10.0.0.1")


def test_blanks_around_a_hop_do_not_count() -> None:
    environ = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": " " * 100 + "[2001:db8::1]:443" + " " * 100}
    assert client_address(environ, PROXIES) == ip_address("2001:db8::1")


@pytest.mark.parametrize("name", ["Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP"])
def test_other_headers_are_not_believed_even_of_a_trusted_proxy(
    configure: Configure, cluster: FakeCluster, name: str
) -> None:
    client = configure(RATE_LIMITS="on", TRUSTED_PROXIES="192.0.2.0/24").test_client()
    codes = [_post(client, LOGIN, **{name: f"for=198.51.100.{number}"}).status_code for number in range(11)]
    assert codes == [422] * 10 + [429]


@pytest.mark.parametrize("addresses", [("", ""), ("unix:", ""), ("unix:", "@socket")])
def test_all_who_come_from_nowhere_are_one_client(
    configure: Configure, cluster: FakeCluster, addresses: tuple[str, str]
) -> None:
    client = configure(RATE_LIMITS="on", TRUSTED_PROXIES="0.0.0.0/0,::/0").test_client()
    for number in range(10):
        response = _post(client, LOGIN, addresses[number % 2], **{"X-Forwarded-For": f"198.51.100.{number}"})
        assert response.status_code == 422
    assert _post(client, LOGIN, addresses[0]).status_code == 429
    assert client.post(LOGIN, json={}, environ_overrides={"REMOTE_ADDR": ""}).status_code == 429
    assert _post(client, LOGIN).status_code == 422


def test_a_client_with_a_whole_ipv6_network_has_one_count(limited: FlaskClient) -> None:
    codes = [_post(limited, LOGIN, f"2001:db8:0:1:{number:x}::{number:x}").status_code for number in range(11)]
    assert codes == [422] * 10 + [429]
    assert _post(limited, LOGIN, "2001:db8:0:2::1").status_code == 422


@pytest.mark.parametrize("address", ["fe80::1%eth0", "fe80::1%1"])
def test_an_address_with_a_zone_belongs_to_its_network(address: str) -> None:
    assert limiting_key(ip_address(address)) == "fe80::/64"


def test_an_ipv4_address_in_ipv6_clothes_is_itself() -> None:
    address = client_address({"REMOTE_ADDR": "::ffff:192.0.2.1"}, ())
    assert limiting_key(address) == "192.0.2.1"
    assert limiting_key(client_address({}, ())) == limiting_key(None) == "unknown"


def test_an_ipv6_network_is_one_client() -> None:
    assert limiting_key(ip_address("2001:db8::1")) == limiting_key(ip_address("2001:db8::ffff")) == "2001:db8::/64"
    assert limiting_key(ip_address("2001:db8:0:1::1")) != limiting_key(ip_address("2001:db8::1"))
    assert limiting_key(ip_address("192.0.2.1")) == "192.0.2.1"
