"""What the service does by itself, again and again. Every instance does; the database shares the work out."""

from __future__ import annotations

from auth_svc.application.expire_invitations import expire_invitations
from auth_svc.application.ports import Ports
from auth_svc.application.purge_old_rows import purge_old_rows
from auth_svc.application.seal_audit import seal_audit
from lib.every import every


class Jobs:
    """Part of `AuthService`."""

    ports: Ports

    @every(seconds=0.5)
    def seal_audit(self) -> None:
        """Seal what was added to the audit trail, and send the events of failed sign-ins."""
        seal_audit(self.ports)

    @every(seconds=60)
    def expire_invitations(self) -> None:
        """Withdraw invitations that nobody has claimed within INVITATION_TTL."""
        expire_invitations(self.ports)

    @every(seconds=300)
    def purge_old_rows(self) -> None:
        """Delete old tokens, counts and sessions."""
        purge_old_rows(self.ports)
