"""What nobody may ever read is not in logs, databases, Redis or events, after a walk through everything there is.

RPC requests carry passwords and tokens on purpose and are gone with their answer; they are not looked at here.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import redis
import requests
import sqlalchemy as sa

from deploy.local.infra import Infrastructure
from lib.wire import connect
from tests.e2e.client import Client, unique_email
from tests.e2e.mailbox import Mailbox
from tests.support.databases import ROOT, SERVICES
from tests.support.stack import Stack
from tests.support.waiting import eventually

BUILT_IN = ("amq.", "nameko-rpc")
NUMBER = re.compile(r"\d{6}")


def spellings(secret: str) -> list[re.Pattern[str]]:
    """Return how a secret may look where it should not be: as it is, coded, or as the bytes that it stands for."""
    if NUMBER.fullmatch(secret):
        # Six digits stand in many a time and number. Nobody writes such a code without something around it.
        return [re.compile(rf"(?<![\w.:-]){secret[:3]} ?{secret[3:]}(?![\w.:-])")]
    plain = secret.encode()
    found = {secret, plain.hex(), base64.b64encode(plain).decode().rstrip("="), json.dumps(secret)[1:-1]}
    text = re.fullmatch(r"l[a-z]{2}_([\w-]+)", secret)
    if text is not None:
        found.add(base64.urlsafe_b64decode(text[1] + "=" * (-len(text[1]) % 4)).hex())
    return [re.compile(re.escape(each)) for each in found]


def told(secrets: Mapping[str, str], text: str) -> list[str]:
    """Return the names of those that stand in a text."""
    return [name for name, secret in secrets.items() if any(each.search(text) for each in spellings(secret))]


class Listener:
    """Gets a copy of everything that goes through the exchanges but requests and their answers."""

    def __init__(self, channel: Any, exchanges: Mapping[str, str], queues: list[str]) -> None:
        self._channel = channel
        self._queue = channel.queue_declare("", exclusive=True).queue
        self.messages: list[str] = []
        for exchange, kind in exchanges.items():
            for key in queues if kind == "direct" else ["#"]:
                channel.queue_bind(self._queue, exchange, key)

    def text(self) -> str:
        """Return all that has come so far: bodies and properties."""
        while (message := self._channel.basic_get(self._queue, no_ack=True)) is not None:
            self.messages.append(f"{message.body} {message.properties} {message.delivery_info}")
        return "\n".join(self.messages)


@pytest.fixture
def events(stack: Stack, infrastructure: Infrastructure) -> Iterator[Listener]:
    listed = infrastructure.rabbitmq.ctl("list_exchanges", "name", "type", "--quiet", "--no-table-headers")
    found = dict(line.split("\t") for line in listed.splitlines() if not line.startswith(("\t", *BUILT_IN)))
    queues = infrastructure.rabbitmq.ctl("list_queues", "name", "--quiet", "--no-table-headers").split()
    assert {f"{name}.events" for name in SERVICES} | {"dead-auth_svc", "redeliver-auth_svc"} <= found.keys()
    with connect(stack.environment["AMQP_URI"], name="listener", heartbeat=30) as connection:
        yield Listener(connection.channel(), found, queues)


def post(stack: Stack, path: str, **body: Any) -> requests.Response:
    return requests.post(f"{stack.url}/api/v1{path}", json=body, timeout=20)


def command(stack: Stack, *arguments: str, **options: Any) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "lib.cli", "auth_svc", *arguments],
        cwd=ROOT,
        env=stack.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Walk:
    """Through all that there is about accounts; `secrets` is what came by."""

    def __init__(self, stack: Stack, mailbox: Mailbox) -> None:
        self.stack, self.mailbox = stack, mailbox
        self.secrets: dict[str, str] = {}
        self.email, self.name = unique_email(), "Walking Person"
        self.client = Client(stack.url)
        for number, name in enumerate(("first", "reset", "changed", "claimed", "wrong", "weak"), 1):
            self.secrets[f"{name} password"] = f"{name.title()} umbrella #{number} Ölkanne"

    def password(self, name: str) -> str:
        return self.secrets[f"{name} password"]

    def keep(self, where: str, answer: requests.Response, status: int = 200) -> requests.Response:
        """Note the tokens of an answer."""
        assert answer.status_code == status, answer.text
        given = answer.json() if answer.content else {}
        for name in ("access_token", "refresh_token", "device_token"):
            if name in given:
                self.secrets[f"{name} of {where}"] = given[name]
        return answer

    def mailed(self, kind: str, to: str | None = None, **count: int) -> str:
        token = self.secrets[f"{kind} token"] = self.mailbox.token(to or self.email, kind, **count)
        return token

    def sign_up_and_in(self) -> None:
        body = {"email": self.email, "password": self.password("first"), "name": self.name}
        self.client.tokens = self.keep("register", post(self.stack, "/auth/register", **body), 201).json()
        device = self.client.tokens["device_token"]
        login = {"email": self.email, "password": self.password("first"), "device_token": device}
        self.keep("login", post(self.stack, "/auth/login", **login))
        self.keep("login without device", post(self.stack, "/auth/login", email=self.email, password=body["password"]))
        renewed = self.client.post("/auth/refresh", {"refresh_token": self.client.tokens["refresh_token"]})
        self.client.tokens |= self.keep("refresh", renewed).json()
        for email in (self.email, unique_email()):
            assert post(self.stack, "/auth/login", email=email, password=self.password("wrong")).status_code == 401
        token = self.mailed("verification")
        self.secrets["code"] = self.mailbox.code(self.email, "verification")
        assert self.client.post("/auth/email/verify", {"code": self.secrets["code"]}).status_code == 200
        assert post(self.stack, "/auth/email/verify", token=token).status_code == 200

    def refusals(self) -> None:
        """What is wrong is not repeated in answers, nor written down."""
        wrong = self.password("wrong")
        access = self.secrets["access_token of register"]
        answers = [
            post(self.stack, "/auth/register", email=unique_email(), password={"is": wrong}, name="X"),
            post(self.stack, "/auth/register", email=wrong, password=wrong, name="X"),
            post(self.stack, "/auth/login", email=self.email, passwort=wrong),
            post(self.stack, "/auth/refresh", refresh_token=self.secrets["refresh_token of refresh"][:-1]),
            post(self.stack, "/auth/password/reset", token=wrong, new_password=self.password("weak")),
            requests.post(f"{self.stack.url}/auth/login", data=f'{{"password": "{wrong}"', timeout=20),
            requests.get(f"{self.stack.url}/auth/me", headers={"Authorization": f"Bearer {access}x"}, timeout=20),
            requests.get(f"{self.stack.url}/auth/me", params={"access_token": access}, timeout=20),
            requests.get(f"{self.stack.url}/{access}", timeout=20),
        ]
        for answer in answers:
            assert 400 <= answer.status_code < 500
            assert told(self.secrets, answer.text) == []

    def passwords(self) -> None:
        assert post(self.stack, "/auth/password/forgot", email=self.email).status_code == 202
        reset = {"token": self.mailed("password_reset"), "new_password": self.password("reset")}
        assert post(self.stack, "/auth/password/reset", **reset).status_code == 204
        login = post(self.stack, "/auth/login", email=self.email, password=self.password("reset"))
        self.client.tokens = self.keep("login after reset", login).json()
        change = {"current_password": self.password("reset"), "new_password": self.password("changed")}
        assert self.client.post("/auth/password/change", change).status_code == 204

    def addresses(self) -> None:
        new = unique_email()
        change = {"new_email": new, "current_password": self.password("changed")}
        assert self.client.post("/auth/email/change", change).status_code == 202
        back = self.mailed("email_change_notice")
        assert post(self.stack, "/auth/email/change/confirm", token=self.mailed("email_change", new)).status_code == 200
        assert post(self.stack, "/auth/email/change/revert", token=back).status_code == 200

    def invitation(self) -> None:
        email = unique_email()
        assert post(self.stack, "/users", email=email, name="Invited").status_code == 201
        claim = {"token": self.mailed("claim", email), "password": self.password("claimed")}
        self.keep("claim", post(self.stack, "/auth/claim", **claim))

    def programs(self) -> None:
        made = json.loads(command(self.stack, "clients", "create", "Walk"))
        self.secrets["client secret"] = made["client_secret"]
        wrong = self.secrets["wrong client secret"] = "lcs_" + "w" * 43
        for what, secret in (("introspect", made["client_secret"]), ("introspect", wrong), ("revoke", wrong)):
            for field in ("access_token", "refresh_token"):
                form = {"token": self.secrets[f"{field} of claim"], "client_secret": secret}
                form["client_id"] = made["client_id"]
                answer = requests.post(f"{self.stack.url}/api/v1/auth/{what}", data=form, timeout=20)
                assert answer.status_code == (401 if secret == wrong else 200)
                assert told(self.secrets, answer.text) == []

    def administrator(self) -> None:
        email, password = unique_email(), "Operators lantern #7"
        self.secrets["administrator's password"] = password
        printed = command(self.stack, "create-admin", email, "--password-stdin", input=password + "\n")
        assert told(self.secrets, printed) == []
        admin = Client(self.stack.url)
        admin.tokens = self.keep("admin", post(self.stack, "/auth/login", email=email, password=password)).json()
        assert admin.post(f"/admin/accounts/{self.client.user_id}/disable", {"reason": "walked"}).status_code == 200

    def all(self) -> None:
        self.sign_up_and_in()
        self.refusals()
        self.passwords()
        self.addresses()
        self.invitation()
        self.programs()
        self.administrator()


def dumped(database: Callable[[str], Any], name: str) -> str:
    """Return every row of a database as text; bytes are hexadecimal digits there."""
    with database(name) as connection:
        tables = sa.inspect(connection).get_table_names()
        rows = [row for each in tables for row in connection.execute(sa.text(f'SELECT t::text FROM "{each}" t'))]
    return "\n".join(row[0] for row in rows)


def test_no_secret_is_in_logs_databases_or_events(
    stack: Stack,
    mailbox: Mailbox,
    events: Listener,
    database: Callable[[str], Any],
    infrastructure: Infrastructure,
) -> None:
    walk = Walk(stack, mailbox)
    walk.all()
    user_id = walk.client.user_id
    wanted = {"user.registered", "user.password.changed", "user.email.changed", "user.login.failed", "user.disabled"}
    eventually(lambda: wanted <= set(re.findall(r"user\.[a-z.]+", events.text())))
    # Who was signed in, or asked for it, in every way that there is.
    assert len(walk.secrets) >= 25
    with redis.Redis.from_url(stack.environment["REDIS_URL"]) as store:
        cached = "\n".join(f"{key!r} {store.dump(key)!r}" for key in store.scan_iter())
    places = {
        "logs": stack.logs(),
        **{f"database {name}": dumped(database, name) for name in SERVICES.values()},
        "events": events.text(),
        "redis": cached,
        # PostgreSQL writes down statements that fail, with the values in them.
        **{f"log of {part.name}": part.log.read_text(errors="replace") for part in infrastructure.parts},
    }
    # What may be there is: these are the right places to look at.
    for name in ("logs", "database auth", "database users", "database payments", "events"):
        assert user_id in places[name], name
    assert walk.name in places["database users"]
    assert {name: found for name, text in places.items() if (found := told(walk.secrets, text))} == {}


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("pass word", "…pass word…"),
        ("pass word", "70617373 " + b"pass word".hex()),
        ("pass word", base64.b64encode(b"pass word!").decode()),
        ('quo"te', json.dumps({"a": 'quo"te'})),
        ("lot_" + base64.urlsafe_b64encode(b"x" * 32).decode().rstrip("="), "\\x" + (b"x" * 32).hex()),
        ("123456", 'code="123456"'),
        ("123456", "your code is 123 456"),
    ],
)
def test_a_secret_is_found_in_every_spelling(secret: str, text: str) -> None:
    assert told({"it": secret}, text) == ["it"]


@pytest.mark.parametrize("text", ["12:00:00.123456Z", "a123456b", "1234567", "0x123456", "-123456-"])
def test_digits_of_something_else_are_no_code(text: str) -> None:
    assert told({"it": "123456"}, text) == []
