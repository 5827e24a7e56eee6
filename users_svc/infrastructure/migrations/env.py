"""Where Alembic starts."""

from lib.migrations import run
from users_svc.infrastructure.tables import metadata

run(metadata)
