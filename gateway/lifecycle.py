"""What happens around every request: its id, its trace, its log line, its headers, its place in the metrics."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Sequence

from flask import Flask, Response, g, request

from gateway import card_numbers, metrics
from gateway.access_log import AccessLog
from gateway.addresses import client_address
from gateway.state import EXTENSION, Gateway
from lib import context
from lib.card_numbers import holds_card_number
from lib.context import ANONYMOUS, CallContext, new_correlation_id

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})(-.*)?")
_LANGUAGE = re.compile(r"\s*([A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3})\s*(?:[,;]|$)")

LONGEST_USER_AGENT = 256

#: asked for every few seconds by machines: never waiting for a turn, and a log line for each would bury the others
QUIET = frozenset({"/health", "/health/live", "/health/ready", "/metrics"})


def install(app: Flask, finishers: Sequence[Callable[[Response], None]], access_log: AccessLog) -> None:
    """Have every request begun and finished by this module.

    :param finishers: called with each response, in order, before it is logged
    """
    own: Gateway = app.extensions[EXTENSION]

    def begin() -> None:
        _begin(own)

    def finish(response: Response) -> Response:
        for finisher in finishers:
            finisher(response)
        call: CallContext = g.call
        response.headers.add("X-Request-ID", call.correlation_id)
        if own.draining.is_set():
            response.headers["Connection"] = "close"
        seconds = time.perf_counter() - g.started
        rule = request.url_rule
        # The template and not the path, and no query: both may hold what belongs neither into logs nor into metrics.
        route = rule.rule if rule is not None else None
        metrics.observe(request.method, route, response.status_code, seconds)
        if route not in QUIET:
            access_log.write(call, request.method, route, response.status_code, seconds)
        return response

    def leave(_error: BaseException | None) -> None:
        own.admission.leave()
        # The thread goes on to another request, which must not be taken for this one.
        context.enter(None)

    app.before_request(begin)
    app.after_request(finish)
    app.teardown_request(leave)


def _begin(own: Gateway) -> None:
    g.started = time.perf_counter()
    environ = request.environ
    header = environ.get
    given = header("HTTP_X_REQUEST_ID")
    traceparent = header("HTTP_TRACEPARENT")
    language = header("HTTP_ACCEPT_LANGUAGE")
    address = client_address(environ, own.settings.trusted_proxies)
    agent = header("HTTP_USER_AGENT")
    call = g.call = CallContext(
        correlation_id=given if given and _is_request_id(given) else new_correlation_id(),
        actor=ANONYMOUS,
        traceparent=continued(traceparent) if traceparent else None,
        locale=first_language(language) if language else None,
        client_ip=str(address) if address else None,
        user_agent=printable(agent) if agent else None,
    )
    context.enter(call)
    if environ["PATH_INFO"] not in QUIET:
        own.admission.enter()
    if environ.get("QUERY_STRING"):
        card_numbers.refuse_in_query()


def _is_request_id(text: str) -> bool:
    # It will stand in every log line, where no card number may be.
    return _REQUEST_ID.fullmatch(text) is not None and not holds_card_number(text)


def continued(traceparent: str) -> str | None:
    """Return the trace with a span of our own (W3C Trace Context); None for junk, which is ignored."""
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None:
        return None
    version, trace, flags, rest = match.groups()
    parent = traceparent[36:52]
    if version == "ff" or (version == "00" and rest) or trace == "0" * 32 or parent == "0" * 16:
        return None
    return f"00-{trace}-{secrets.token_hex(8)}-{flags}"


def first_language(accepted: str) -> str | None:
    """Return the first language of an Accept-Language header."""
    match = _LANGUAGE.match(accepted)
    return match.group(1) if match else None


def printable(user_agent: str) -> str | None:
    """Return a User-Agent header as it can be kept and shown; None if nothing is left of it."""
    return "".join(filter(str.isprintable, user_agent))[:LONGEST_USER_AGENT].strip() or None
