"""auth_svc on the broker."""

from __future__ import annotations

# As modules: Nameko takes every class with entry points that it finds by name in here for a service of its own.
from auth_svc.application.get_jwks import get_jwks
from auth_svc.bootstrap import build_ports
from auth_svc.presentation import accounts, admin, audit, email, jobs, oauth, passwords, sessions
from lib.caller import Caller
from lib.database import Database
from lib.operations import Operations
from lib.provide import Provide


class AuthService(
    accounts.AccountRpc,
    sessions.SessionRpc,
    email.EmailRpc,
    passwords.PasswordRpc,
    oauth.OAuthRpc,
    admin.AdminRpc,
    audit.AuditRpc,
    jobs.Jobs,
):
    """Accounts, sign-in and sessions. The methods stand in the modules beside this one, by area.

    Events (exchange ``auth_svc.events``): ``user.registered`` {id, email, name, status, email_verified},
    ``user.claimed`` {id, email, name}, ``user.email.verified`` {id, email}, ``user.email.changed`` {id, email},
    ``user.password.changed`` {id, method}, ``user.logged_in`` {id, session_id, method}, ``user.login.failed`` {id,
    method, locked}, ``user.disabled`` {id, reason}, ``user.enabled`` {id, reason}, ``user.roles.changed`` {id, roles},
    ``user.deleted`` {id}, ``session.revoked`` {session_id, user_id, reason} for one session or {user_id, not_before,
    reason} for all of an account up to then; and ``mail.requested`` {account_id, kind, reference}, for this service
    alone.
    """

    name = "auth_svc"
    ports = Provide(build_ports, database=Database())
    caller = Caller(jwks=get_jwks)
    operations = Operations()
