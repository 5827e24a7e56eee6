"""What the RPC methods answer, and who may call them."""

import inspect
import json

import pytest

from auth_svc.bootstrap import CONFIG, Settings, build_ports
from auth_svc.presentation.service import AuthService
from lib import config as configuration
from lib.context import ANONYMOUS, SYSTEM, Actor, CallContext, using
from lib.errors import DomainError, Forbidden, Unauthenticated
from lib.ids import new_id, rfc3339
from lib.rpc import Rpc
from tests.fakes.auth import START, AuthWorld

ANN = {"email": "Ann@example.com", "password": "SecurePass123!", "name": "Ann"}
METHODS = {
    name: entrypoint
    for name, method in inspect.getmembers(AuthService, inspect.isfunction)
    for entrypoint in getattr(method, "nameko_entrypoints", ())
    if isinstance(entrypoint, Rpc)
}
CONFIGURATION = {
    "SECRET_KEY": "a-secret-key",
    "JWT_ISSUER": "https://issuer.example",
    "JWT_AUDIENCE": "leveret",
    "ACCESS_TOKEN_TTL": 900,
    "REFRESH_TOKEN_TTL": 2_592_000,
    "REFRESH_GRACE": 10,
    "SESSION_IDLE_TTL": 604_800,
    "RPC_TIMEOUT": 5,
    "APP_ENV": "development",
    "RATE_LIMITS": "on",
    "LOCKOUT_ATTEMPTS": 10,
    "LOCKOUT_WINDOW": 900,
    "MAILS_PER_HOUR": 5,
    "INVITATION_TTL": 2_592_000,
    "PRIVATE_REGISTRATION": 0,
    "BREACHED_PASSWORDS_URL": "",
    "PUBLIC_URL": "http://localhost:3000",
    "SMTP_URL": "",
    "SMTP_CA_FILE": "",
    "MAIL_FROM": "Leveret <no-reply@leveret.localhost>",
    "MAIL_FOLDER": ".local/mail",
}


@pytest.fixture
def world():
    return AuthWorld()


@pytest.fixture
def service(world):
    service = AuthService()
    service.ports = world.ports
    return service


def test_register_gives_the_user_and_tokens(service, world):
    answer = service.register(**ANN)
    user = answer.pop("user")
    assert user == {
        "id": str(world.only_account().id),
        "email": "Ann@example.com",
        "name": "Ann",
        "email_verified": False,
        "created_at": rfc3339(START),
    }
    assert set(answer) == {"access_token", "refresh_token", "token_type", "expires_in", "device_token"}
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 900
    assert answer["access_token"].startswith("access/")
    assert world.refresh_tokens.session_of(answer["refresh_token"]) == world.only_session().id


def test_login_answers_as_register_does(service):
    registered = service.register(**ANN)
    answer = service.login(email=ANN["email"], password=ANN["password"])
    assert answer.keys() == registered.keys()
    assert answer["user"] == registered["user"]
    assert answer["refresh_token"] != registered["refresh_token"]


def test_refresh_gives_tokens_alone(service):
    registered = service.register(**ANN)
    answer = service.refresh(refresh_token=registered["refresh_token"])
    assert set(answer) == {"access_token", "refresh_token", "token_type", "expires_in"}


def test_logout_answers_nothing_and_ends_the_session(service, world):
    registered = service.register(**ANN)
    session = world.only_session()
    assert service.logout(user_id=registered["user"]["id"], session_id=str(session.id)) == {}
    assert world.only_session().revoked_reason == "logout"


def test_get_account_shows_everything_but_secrets(service, world):
    user = service.register(**ANN)["user"]
    with using(CallContext("request", actor=Actor("account", id=user["id"]))):
        assert service.get_account(user_id=user["id"]) == {**user, "status": "active", "roles": []}


def test_why_an_account_is_closed_is_for_others_than_its_owner(service, world):
    user = service.register(**ANN)["user"]
    world.only_account().disable("spam", START)
    with using(CallContext("request", actor=Actor("account", id=str(new_id()), roles=frozenset({"admin"})))):
        assert service.get_account(user_id=user["id"])["disabled_reason"] == "spam"


def test_reserve_account_tells_whether_it_made_the_account(service, world):
    arguments = {"email": "Bob@example.com", "name": "Bob", "request_key": "key"}
    first = service.reserve_account(**arguments)
    assert first == {
        "id": str(world.only_account().id),
        "email": "Bob@example.com",
        "name": "Bob",
        "status": "invited",
        "created": True,
    }
    assert service.reserve_account(**arguments) == {**first, "created": False}


def test_get_jwks_gives_the_key_set(service):
    assert service.get_jwks() == {"keys": []}


def test_every_answer_is_plain_json(service):
    registered = service.register(**ANN)
    answers = [
        registered,
        service.get_account(user_id=registered["user"]["id"]),
        service.reserve_account(email="b@example.com", name="Bob", request_key="key"),
        service.refresh(refresh_token=registered["refresh_token"]),
    ]
    for answer in answers:
        assert json.loads(json.dumps(answer)) == answer


def test_no_answer_and_no_error_holds_a_password(service):
    answers = [service.register(**ANN), service.login(email=ANN["email"], password=ANN["password"])]
    answers.append(service.get_account(user_id=answers[0]["user"]["id"]))
    with pytest.raises(DomainError) as refusal:
        service.register(email="x@example.com", password="password123", name="X")
    texts = [json.dumps(each) for each in answers] + [str(refusal.value), json.dumps(refusal.value.details)]
    assert not [text for text in texts if ANN["password"] in text or "password123" in text or "new:" in text]


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_explains_itself(name):
    text = inspect.getdoc(getattr(AuthService, name))
    arguments = [each for each in inspect.signature(getattr(AuthService, name)).parameters if each != "self"]
    assert all(f":param {each}:" in text for each in arguments)
    assert ":returns:" in text


def may(name, actor, **arguments):
    try:
        METHODS[name].allow(actor, arguments)
    except (Forbidden, Unauthenticated):
        return False
    return True


@pytest.mark.parametrize("name", ["register", "login", "refresh", "get_jwks"])
def test_anybody_may_call_what_leads_to_a_token(name):
    assert may(name, ANONYMOUS)


@pytest.mark.parametrize("name", ["logout", "get_account"])
def test_an_account_is_its_owners(name):
    ann, bob = (Actor("account", id=str(new_id())) for _ in range(2))
    assert may(name, ann, user_id=ann.id)
    assert may(name, SYSTEM, user_id=ann.id)
    assert not may(name, bob, user_id=ann.id)
    assert not may(name, ANONYMOUS, user_id=ann.id)


def test_only_the_system_reserves_accounts():
    assert may("reserve_account", SYSTEM)
    assert not may("reserve_account", ANONYMOUS)
    assert not may("reserve_account", Actor("account", id=str(new_id()), roles=frozenset({"admin"})))


def test_only_what_may_run_twice_runs_twice():
    assert {name for name, each in METHODS.items() if not each.idempotent} == {
        "register",
        "login",
        "claim_account",
        "request_email_verification",
        "verify_email_by_code",
        "change_email",
        "confirm_email_change",
        "revert_email_change",
        "forgot_password",
        "reset_password",
        "change_password",
    }


def test_arguments_that_are_secret_are_marked():
    marked = {name: each.sensitive_arguments for name, each in METHODS.items() if each.sensitive_arguments}
    assert marked == {
        "register": ("password",),
        "login": ("password", "device_token"),
        "refresh": ("refresh_token",),
        "claim_account": ("token", "password"),
        "verify_email": ("token",),
        "verify_email_by_code": ("code",),
        "change_email": ("current_password",),
        "confirm_email_change": ("token",),
        "revert_email_change": ("token",),
        "reset_password": ("token", "new_password"),
        "change_password": ("current_password", "new_password"),
        "introspect_token": ("client_secret", "token"),
        "revoke_token": ("client_secret", "token"),
    }


def test_the_settings_come_from_the_configuration():
    settings = Settings.of(CONFIGURATION)
    assert settings.rules.access_token_lifetime.total_seconds() == 900
    assert settings.rules.lockout.attempts == 10
    assert not settings.rules.private_registration
    assert settings.refresh_policy.lifetime.days == 30
    assert settings.refresh_policy.idle.days == 7
    assert settings.refresh_policy.grace.total_seconds() == 10
    assert (settings.issuer, settings.audience) == ("https://issuer.example", "leveret")
    assert "a-secret-key" not in repr(settings)


@pytest.mark.parametrize(
    "name", [name for name in sorted(CONFIG) if type(CONFIGURATION[name]) is int and CONFIGURATION[name]]
)
@pytest.mark.parametrize("value", [None, "900", -1, True, 10**12])
def test_a_time_that_is_no_sensible_number_of_seconds_is_refused(name, value):
    CONFIG[name](name, CONFIGURATION[name])
    with pytest.raises(configuration.ConfigError, match=name):
        CONFIG[name](name, value)


def test_without_rate_limits_nobody_is_locked_out_and_every_mail_is_sent():
    rules = Settings.of({**CONFIGURATION, "RATE_LIMITS": "off", "PRIVATE_REGISTRATION": 1}).rules
    assert (rules.lockout.attempts, rules.mails_per_hour, rules.private_registration) == (None, None, True)


def test_a_grace_that_a_repeated_request_can_miss_is_refused():
    with pytest.raises(configuration.ConfigError, match="REFRESH_GRACE"):
        Settings.of({**CONFIGURATION, "REFRESH_GRACE": 5})


def test_the_ports_are_built_without_touching_the_database():
    def no_session():
        raise AssertionError("a session was asked for")

    ports = build_ports(CONFIGURATION, no_session)
    assert "password123" in ports.common_passwords
    assert ports.now().tzinfo is not None
    assert ports.new_id() != ports.new_id()
