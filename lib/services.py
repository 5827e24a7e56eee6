"""Find a service by its package's name, so that nothing has to list them."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from nameko.cli.run import import_service
from nameko.exceptions import CommandError

from lib.config import Rule


def service_class(name: str) -> type:
    """Return the service class of a package (``users_svc``) or of a module given in full.

    :raises CommandError: there is none, or more than one
    """
    module = name if "." in name or ":" in name else f"{name}.presentation.service"
    try:
        found: list[type] = import_service(module)
    except ModuleNotFoundError as exc:
        raise CommandError(str(exc)) from exc
    if len(found) != 1:
        raise CommandError(f"{module} holds {len(found)} service classes; name one as module:Class")
    return found[0]


def rules_of(name: str) -> dict[str, Rule]:
    """Return the rules for the service's own configuration (``<package>.bootstrap.CONFIG``)."""
    if "." in name or ":" in name:
        return {}
    if find_spec(name) is None or find_spec(f"{name}.bootstrap") is None:
        raise CommandError(f"there is no service {name}")
    return dict(getattr(import_module(f"{name}.bootstrap"), "CONFIG", {}))
