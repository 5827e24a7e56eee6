"""Where Alembic starts."""

from lib.migrations import run
from payments_svc.infrastructure.tables import metadata

run(metadata)
