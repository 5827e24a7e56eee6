"""Guessing passwords by trying: from one address, and from everywhere at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from gateway.shapes import EXAMPLES
from lib.errors import Unavailable
from lib.faults import Fault
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import Configure
from tests.unit.gateway.test_gateway_limits import LOGIN, NOWHERE

WRONG = Fault("unauthenticated", "invalid_credentials", "this does not match")
UNKNOWN_DEVICE = Fault("limited", "rate_limited", "known devices only", {"retry_after": 12345})
KNOWN, MADE_UP = "dt_known", "dt_made_up"
#: more than the general limit of the route lets pass in a minute would hide what is looked at here
FEW = {"LOGIN_FAILURES_PER_ADDRESS": "3/10minute", "LOGIN_FAILURES_GLOBAL": "6/minute"}


def attempt(client: FlaskClient, address: str = "192.0.2.1", **more: Any) -> Any:
    body = {"email": "ann@example.com", "password": "guess", **more}
    return client.post(LOGIN, json=body, environ_base={"REMOTE_ADDR": address})


def service(answer: Any) -> Callable[..., Any]:
    """Return what answers as auth_svc does: where it has to know the device, it refuses others unseen."""

    def login(*, device_token: str | None = None, known_device_only: bool = False, **_: Any) -> Any:
        return UNKNOWN_DEVICE if known_device_only and device_token != KNOWN else answer

    return login


@pytest.fixture
def client(configure: Configure, cluster: FakeCluster) -> FlaskClient:
    cluster.answers["auth_svc.login"] = WRONG
    return configure(RATE_LIMITS="on", **FEW).test_client()


@pytest.fixture
def everywhere() -> Iterator[str]:
    """Addresses that nobody has come from yet."""
    return (f"198.51.{number // 250}.{number % 250}" for number in range(10_000))


def asked(cluster: FakeCluster) -> int:
    return len(cluster.called("auth_svc.login"))


def test_an_address_with_too_many_failures_is_not_listened_to(client: FlaskClient, cluster: FakeCluster) -> None:
    assert [attempt(client).status_code for _ in range(3)] == [401] * 3
    response = attempt(client)
    assert response.status_code == 429
    assert asked(cluster) == 3
    # The right password would not help, and a known device does not either: the address is the guesser's.
    cluster.answers["auth_svc.login"] = EXAMPLES["SignedIn"]
    assert attempt(client, device_token=KNOWN).status_code == 429
    assert attempt(client, "192.0.2.2").status_code == 200


def test_the_refusal_looks_as_those_of_other_limits(client: FlaskClient) -> None:
    for _ in range(3):
        attempt(client)
    response = attempt(client)
    assert response.json["code"] == "rate_limited"
    assert response.json["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert response.json["violated-policies"] == ["failed-logins"]
    assert 590 <= int(response.headers["Retry-After"]) <= 600
    assert response.headers["RateLimit-Policy"].endswith(', "failed-logins";q=3;w=600')
    assert ', "failed-logins";r=0;t=' in response.headers["RateLimit"]


def test_a_network_of_ipv6_is_one_address(client: FlaskClient, cluster: FakeCluster) -> None:
    codes = [attempt(client, f"2001:db8:0:1::{number:x}").status_code for number in range(1, 5)]
    assert codes == [401] * 3 + [429]
    assert attempt(client, "2001:db8:0:2::1").status_code == 401


def test_a_header_of_the_client_gives_no_other_address(client: FlaskClient) -> None:
    codes = [
        client.post(
            LOGIN,
            json={"email": "ann@example.com", "password": "guess"},
            headers={"X-Forwarded-For": f"198.51.100.{number}"},
        ).status_code
        for number in range(4)
    ]
    assert codes == [401] * 3 + [429]


def test_too_many_failures_everywhere_leave_the_door_open_for_known_devices_only(
    client: FlaskClient, cluster: FakeCluster, everywhere: Iterator[str]
) -> None:
    assert [attempt(client, next(everywhere)).status_code for _ in range(6)] == [401] * 6
    response = attempt(client, next(everywhere))
    assert response.status_code == 429
    assert response.json["violated-policies"] == ["all-failed-logins"]
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert asked(cluster) == 6
    cluster.answers["auth_svc.login"] = service(EXAMPLES["SignedIn"])
    assert attempt(client, next(everywhere)).status_code == 429
    assert attempt(client, next(everywhere), device_token="").status_code == 429
    assert asked(cluster) == 6
    assert attempt(client, next(everywhere), device_token=MADE_UP).status_code == 429
    assert attempt(client, next(everywhere), device_token=KNOWN).status_code == 200


def test_the_service_is_told_to_know_the_device_only_after_too_many_failures(
    client: FlaskClient, cluster: FakeCluster, everywhere: Iterator[str]
) -> None:
    cluster.answers["auth_svc.login"] = service(WRONG)
    for _ in range(6):
        assert attempt(client, next(everywhere), device_token=MADE_UP).status_code == 401
    assert {"known_device_only" in each for each in cluster.called("auth_svc.login")} == {False}
    attempt(client, next(everywhere), device_token=MADE_UP)
    assert cluster.called("auth_svc.login")[6:] == [
        {"email": "ann@example.com", "password": "guess", "device_token": MADE_UP, "known_device_only": True}
    ]


@pytest.mark.parametrize("value", [True, False, None])
def test_no_client_decides_whether_its_device_has_to_be_known(
    client: FlaskClient, cluster: FakeCluster, value: Any
) -> None:
    assert attempt(client, known_device_only=value).status_code == 422
    assert asked(cluster) == 0


def test_a_made_up_device_is_refused_as_none_is(
    client: FlaskClient, cluster: FakeCluster, everywhere: Iterator[str]
) -> None:
    cluster.answers["auth_svc.login"] = service(WRONG)
    for _ in range(6):
        attempt(client, next(everywhere))
    none, made_up = (attempt(client, next(everywhere), **more) for more in ({}, {"device_token": MADE_UP}))
    assert none.status_code == made_up.status_code == 429
    assert made_up.json | {"request_id": ""} == none.json | {"request_id": ""}
    assert 1 <= int(made_up.headers["Retry-After"]) <= 60
    assert int(none.headers["Retry-After"]) - int(made_up.headers["Retry-After"]) in (0, 1)
    assert made_up.headers["RateLimit-Policy"] == none.headers["RateLimit-Policy"]
    assert '"all-failed-logins";q=6;w=60' in made_up.headers["RateLimit-Policy"]
    assert '"all-failed-logins";r=0;t=' in made_up.headers["RateLimit"]


def test_a_made_up_device_is_no_guess(client: FlaskClient, cluster: FakeCluster, everywhere: Iterator[str]) -> None:
    """Its password was not looked at."""
    cluster.answers["auth_svc.login"] = service(WRONG)
    for _ in range(6):
        attempt(client, next(everywhere))
    assert [attempt(client, device_token=MADE_UP).json["violated-policies"] for _ in range(4)] == [
        ["all-failed-logins"]
    ] * 4


def test_a_known_device_is_still_held_to_its_address(
    client: FlaskClient, cluster: FakeCluster, everywhere: Iterator[str]
) -> None:
    cluster.answers["auth_svc.login"] = service(WRONG)
    for _ in range(6):
        attempt(client, next(everywhere))
    codes = [attempt(client, device_token=KNOWN).status_code for _ in range(4)]
    assert codes == [401] * 3 + [429]


@pytest.mark.parametrize(
    "answer, status", [(Unavailable("auth_svc is not running"), 503), (Fault("internal", "x"), 500)]
)
def test_a_service_that_fails_is_not_taken_for_one_that_refuses(
    client: FlaskClient, cluster: FakeCluster, everywhere: Iterator[str], answer: Exception, status: int
) -> None:
    for _ in range(6):
        attempt(client, next(everywhere))
    cluster.answers["auth_svc.login"] = answer
    assert attempt(client, next(everywhere), device_token=KNOWN).status_code == status


def test_a_success_takes_nothing_back(client: FlaskClient, cluster: FakeCluster, everywhere: Iterator[str]) -> None:
    """Neither for the address nor for all: who has one good password would go on guessing others with it."""
    for number in range(3):
        assert attempt(client).status_code == 401
        cluster.answers["auth_svc.login"] = EXAMPLES["SignedIn"]
        assert attempt(client).status_code == (429 if number == 2 else 200)
        cluster.answers["auth_svc.login"] = WRONG
    assert attempt(client).status_code == 429
    assert [attempt(client, next(everywhere)).status_code for _ in range(4)] == [401] * 3 + [429]


def test_successes_are_not_counted(client: FlaskClient, cluster: FakeCluster, everywhere: Iterator[str]) -> None:
    cluster.answers["auth_svc.login"] = EXAMPLES["SignedIn"]
    assert [attempt(client).status_code for _ in range(9)] == [200] * 9
    assert [attempt(client, next(everywhere)).status_code for _ in range(9)] == [200] * 9


@pytest.mark.parametrize(
    "answer, status",
    [
        (Unavailable("auth_svc is not running"), 503),
        (Fault("unavailable", "overloaded", "too many", {"retry_after": 1}), 503),
        (Fault("internal", "internal_error"), 500),
        (Fault("limited", "rate_limited", "later", {"retry_after": 5}), 429),
    ],
)
def test_what_is_no_failed_guess_is_not_counted(
    client: FlaskClient, cluster: FakeCluster, answer: Exception, status: int
) -> None:
    cluster.answers["auth_svc.login"] = answer
    assert [attempt(client).status_code for _ in range(5)] == [status] * 5
    cluster.answers["auth_svc.login"] = WRONG
    assert [attempt(client).status_code for _ in range(4)] == [401] * 3 + [429]


def test_a_body_that_cannot_be_used_is_no_guess(client: FlaskClient, cluster: FakeCluster) -> None:
    assert [attempt(client, password=5).status_code for _ in range(5)] == [422] * 5
    assert attempt(client).status_code == 401


def test_each_failure_is_told_alike(client: FlaskClient) -> None:
    """The counts do not show in the answers, or one could tell what others do from the same address."""
    answers = [attempt(client) for _ in range(3)]
    assert {"failed" in response.headers["RateLimit"] for response in answers} == {False}
    assert len({(response.json["code"], response.json["detail"]) for response in answers}) == 1


@pytest.mark.parametrize("workers, share", [(1, 3), (2, 1), (5, 1)])
def test_without_redis_each_process_lets_its_share_of_failures_pass(
    configure: Configure, cluster: FakeCluster, workers: int, share: int
) -> None:
    cluster.answers["auth_svc.login"] = WRONG
    client = configure(NOWHERE, RATE_LIMITS="on", GATEWAY_WORKERS=workers, **FEW).test_client()
    assert [attempt(client).status_code for _ in range(share + 1)] == [401] * share + [429]


def test_without_redis_all_together_are_held_to_a_share_too(
    configure: Configure, cluster: FakeCluster, everywhere: Iterator[str]
) -> None:
    cluster.answers["auth_svc.login"] = WRONG
    client = configure(NOWHERE, RATE_LIMITS="on", GATEWAY_WORKERS=2, **FEW).test_client()
    assert [attempt(client, next(everywhere)).status_code for _ in range(4)] == [401] * 3 + [429]


def test_without_limits_there_is_no_guard(configure: Configure, cluster: FakeCluster) -> None:
    cluster.answers["auth_svc.login"] = WRONG
    client = configure(RATE_LIMITS="off", **FEW).test_client()
    assert [attempt(client).status_code for _ in range(20)] == [401] * 20


def test_the_defaults_are_thirty_of_an_address_and_three_hundred_of_all(
    configure: Configure, cluster: FakeCluster, everywhere: Iterator[str]
) -> None:
    """The general limit is what stops an address first, in one minute."""
    cluster.answers["auth_svc.login"] = WRONG
    client = configure(RATE_LIMITS="on").test_client()
    assert [attempt(client).status_code for _ in range(11)] == [401] * 10 + [429]
    assert [attempt(client, next(everywhere)).status_code for _ in range(291)] == [401] * 290 + [429]
