"""Events: each handler once per event, whatever arrives; failures are tried again, then parked, never lost."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from lib.ids import rfc3339, utc_now
from lib.wire import connect
from tests.conftest import ROOT
from tests.integration.lib.conftest import PROBE, Probe, delete_queues
from tests.support.waiting import eventually, stays


def cli(probe: Probe, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run an operator's command on the probe; its package is not a real service, so the CLI is told where it is."""
    code = (
        "import sys; from lib import cli, config; import lib.services as s;"
        "from tests.services.probe import ProbeService;"
        "cli.service_class = lambda name: ProbeService; cli.rules_of = lambda name: {};"
        "cli.own = lambda service, into: into;"
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    return subprocess.run(
        [sys.executable, "-c", code, "probe_svc", *arguments],
        cwd=ROOT,
        env=probe.stack.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def parked_headers(probe: Probe) -> dict[str, Any]:
    """Return the headers of the first parked message as they lie in the broker; it goes back with the connection."""
    with connect(probe.config["AMQP_URI"], name="test", heartbeat=10) as connection:
        return dict(connection.channel().basic_get("dead-probe_svc").headers)


def test_twenty_duplicates_of_one_event_have_one_effect_per_handler(probe: Probe) -> None:
    event_id = probe.emit("thing.happened", copies=20)
    eventually(lambda: probe.depth("evt-source_svc-thing.happened--probe_svc.on_thing") == 0)
    eventually(lambda: len(probe.effects(f"%{event_id}")) >= 2)
    stays(lambda: probe.effects(f"on_thing {event_id}") == [f"on_thing {event_id}"], during=0.5)
    assert probe.effects(f"also_on_thing {event_id}") == [f"also_on_thing {event_id}"]


def test_two_handlers_of_one_event_both_run(probe: Probe) -> None:
    event_id = probe.emit("thing.happened")
    eventually(lambda: set(probe.effects(f"%{event_id}")) == {f"on_thing {event_id}", f"also_on_thing {event_id}"})


def test_an_event_that_fails_three_times_is_handled_in_the_end(probe: Probe) -> None:
    event_id = probe.emit("thing.failed", fails=3)
    eventually(lambda: probe.effects(f"on_failed {event_id}") == [f"on_failed {event_id}"])
    assert len(probe.effects(f"attempt {event_id}")) == 4
    assert probe.depth("dead-probe_svc") == 0


def test_an_event_that_always_fails_is_parked_with_its_story_and_can_be_replayed(probe: Probe) -> None:
    """Stock Nameko acknowledges an event whose handler raised: after one try the queue was empty and the event gone."""
    event_id = probe.emit("thing.failed", fails=4)
    eventually(lambda: probe.depth("dead-probe_svc") == 1)
    assert len(probe.effects(f"attempt {event_id}")) == 4

    headers = parked_headers(probe)
    assert headers["event-queue"] == "evt-source_svc-thing.failed--probe_svc.on_failed"
    assert (headers["event-attempt"], headers["event-error-type"]) == (4, "RuntimeError")
    assert headers["event-error"].startswith("told to fail")
    assert "hunter2" not in headers["event-error"], "an exception's text may hold a secret"
    assert headers["event-failed-at"] <= rfc3339(utc_now())

    listed = cli(probe, "dead-letters", "list")
    assert listed.returncode == 0, listed.stderr
    parked: dict[str, Any] = json.loads(listed.stdout)
    assert parked["id"] == event_id
    assert parked["queue"] == "evt-source_svc-thing.failed--probe_svc.on_failed"
    assert parked["attempts"] == 4
    assert parked["error_type"] == "RuntimeError"
    assert parked["correlation_id"] == f"corr-{event_id}"
    assert probe.depth("dead-probe_svc") == 1, "looking must not take it away"
    shown = cli(probe, "dead-letters", "show", event_id)
    assert json.loads(shown.stdout)["body"]["data"] == {"fails": 4}
    assert cli(probe, "dead-letters", "show", "nobody").returncode == 1
    assert cli(probe, "dead-letters", "replay", "nobody").returncode == 1

    replayed = cli(probe, "dead-letters", "replay", event_id)
    assert replayed.stdout.strip() == "replayed 1", replayed.stderr
    eventually(lambda: probe.effects(f"on_failed {event_id}") == [f"on_failed {event_id}"])
    assert probe.depth("dead-probe_svc") == 0


def test_an_event_that_cannot_be_decoded_is_parked(probe: Probe) -> None:
    probe.publish("source_svc.events", "thing.happened", "{not json", raw=True)
    eventually(lambda: probe.depth("dead-probe_svc") == 2)  # one copy for each of its two handlers
    event_id = probe.emit("thing.happened")
    eventually(lambda: len(probe.effects(f"%{event_id}")) == 2)


def test_the_correlation_id_of_an_event_is_in_the_handlers_log_line(probe: Probe) -> None:
    event_id = probe.emit("thing.happened")

    def logged() -> bool:
        return any(f"corr-{event_id}" in line and "on_thing" in line for line in probe.stack.log(PROBE).splitlines())

    eventually(logged)


def test_an_event_waits_for_a_handler_that_has_never_run(idle_probe: Probe) -> None:
    probe = idle_probe
    delete_queues(probe.config)
    declared = cli(probe, "declare-topology")
    assert "evt-source_svc-thing.happened--probe_svc.on_thing" in declared.stdout, declared.stderr
    event_id = probe.emit("thing.happened")
    probe.start()
    eventually(lambda: len(probe.effects(f"%{event_id}")) == 2)
