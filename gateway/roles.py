"""What only some accounts may do."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import g

from gateway.bearer import signed_in
from lib.context import NotAllowed

View = Callable[..., Any]


def requires_role(*names: str) -> Callable[[View], View]:
    """Let only accounts through whose access token has one of the roles `names`; the service asks again."""

    def decorator(view: View) -> View:
        @signed_in
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if not g.call.actor.has_role(*names):
                raise NotAllowed("this needs the role " + " or ".join(names))
            return view(*args, **kwargs)

        return wrapper

    return decorator
