"""The operators' commands about signing keys, on a real database."""

from tests.integration.auth.test_auth_keys import config, lines, make_older, rows, run, states

__all__ = ["config", "run"]


def test_the_commands_print_keys_as_json_and_nothing_private(run, auth_sessions):
    made = lines(run("ensure-signing-key"))
    assert sorted(each["state"] for each in made) == ["active", "next"]
    assert lines(run("ensure-signing-key")) == lines(run("keys")) == made
    make_older(auth_sessions, "1 hour")
    rotated = lines(run("rotate-keys"))
    assert sorted(each["state"] for each in rotated) == ["active", "next", "retiring"]
    (active,) = (each for each in rotated if each["state"] == "active")
    withdrawn = lines(run("withdraw-key", active["kid"]))
    assert active["kid"] not in [each["kid"] for each in withdrawn]
    resealed = run("reseal-keys", SECRET_KEY="another-key,a-secret-key")
    assert {each["state"] for each in lines(resealed) if "state" in each} == {"active", "next"}
    for each in [*made, *rotated, *withdrawn]:
        assert set(each) == {"kid", "algorithm", "state", "created_at", "retired_at"}
        assert (each["retired_at"] is None) == (each["state"] != "retiring")
    sealed = [row.sealed for row in rows(auth_sessions, "select sealed_private as sealed from signing_keys")]
    assert not [each for each in sealed if each and bytes(each).decode() in resealed.output]


def test_a_refused_command_says_why_in_one_line(run):
    run("ensure-signing-key")
    early = run("rotate-keys")
    assert early.exit_code == 1
    assert early.output.startswith("Error: not everybody knows the next signing key yet; try again in ")
    assert len(early.output.splitlines()) == 1
    unknown = run("withdraw-key", "no-such-key")
    assert (unknown.exit_code, unknown.output) == (1, "Error: there is no such signing key\n")
    unknown = run("withdraw-key", "-XHtqsoqLsYU-no-such-key")
    assert (unknown.exit_code, unknown.output) == (1, "Error: there is no such signing key\n")
    lost = run("reseal-keys", SECRET_KEY="another-key")
    assert (lost.exit_code, lost.output) == (1, "Error: SECRET_KEY does not open a signing key\n")


def test_at_once_waits_for_as_long_as_it_has_to(run, auth_sessions, monkeypatch):
    run("ensure-signing-key")
    before = states(auth_sessions)
    waited = []

    def sleep(seconds):
        waited.append(seconds)
        make_older(auth_sessions, f"{seconds} seconds")

    monkeypatch.setattr("time.sleep", sleep)
    after = {each["kid"]: each["state"] for each in lines(run("rotate-keys", "--at-once"))}
    assert 0 < sum(waited) <= 10
    (upcoming,) = (kid for kid, state in before.items() if state == "next")
    assert after[upcoming] == "active"


def test_every_change_of_the_keys_is_in_the_audit_trail(run, auth_sessions):
    run("ensure-signing-key")
    make_older(auth_sessions, "1 hour")
    (active,) = (each["kid"] for each in lines(run("rotate-keys")) if each["state"] == "active")
    run("withdraw-key", active)
    run("reseal-keys")
    found = rows(
        auth_sessions,
        "select kind, actor_kind, account_id, details->>'kid' as kid from audit_events"
        " where kind like 'signing_key.%' order by id",
    )
    assert [each.kind.partition(".")[2] for each in found] == ["created", "created", "rotated", "withdrawn", "resealed"]
    assert {(each.actor_kind, each.account_id) for each in found} == {("system", None)}
    assert [each.kid for each in found[2:4]] == [active, active]
