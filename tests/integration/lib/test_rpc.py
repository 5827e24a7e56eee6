"""RPC: typed refusals and errors that leak nothing, and policies.

Beside this: `test_poison`, `test_deadlines`, `test_proxy`, `test_compatibility`, `test_drain`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from nameko.exceptions import IncorrectSignature, MethodNotFound, RemoteError

from lib.context import SYSTEM
from lib.faults import Fault
from tests.integration.lib.conftest import PROBE, Probe

Call = Callable[..., Any]


def test_a_domain_error_arrives_with_kind_code_and_details(probe: Probe, call: Call) -> None:
    with pytest.raises(Fault) as caught:
        call().probe_svc.refuse()
    assert (caught.value.kind, caught.value.code, caught.value.details) == ("conflict", "taken", {"field": "name"})


def test_an_unexpected_error_tells_the_caller_an_id_and_the_log_the_rest(probe: Probe, call: Call) -> None:
    with pytest.raises(Fault) as caught:
        call().probe_svc.crash()
    assert caught.value.code == "internal_error"
    assert "hunter2" not in str(caught.value.args)
    log = probe.stack.log(PROBE)
    assert caught.value.details["error_id"] in log
    assert "hunter2" not in log


@pytest.mark.parametrize(
    ("invoke", "error"),
    [
        (lambda svc: svc.no_such_method(), MethodNotFound),
        (lambda svc: svc.echo(1, 2, 3), IncorrectSignature),
        (lambda svc: svc.unserializable(), RemoteError),
    ],
    ids=["unknown method", "wrong arguments", "unserializable result"],
)
def test_a_bad_call_is_answered_and_the_service_goes_on(
    probe: Probe, call: Call, invoke: Callable[[Any], Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        invoke(call().probe_svc)
    assert call().probe_svc.echo("still here") == "still here"


def test_the_default_policy_lets_operators_in_and_nobody_else(probe: Probe, call: Call) -> None:
    with pytest.raises(Fault, match="forbidden"):
        call().probe_svc.for_operators()
    assert call(actor=SYSTEM).probe_svc.for_operators() == "ok"


def test_a_token_that_cannot_be_checked_is_refused(probe: Probe, call: Call) -> None:
    with pytest.raises(Fault, match="invalid_token"):
        call(access_token="made.up.token").probe_svc.mine("u")
    with pytest.raises(Fault, match="unauthenticated"):
        call().probe_svc.mine("u")
