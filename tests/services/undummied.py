"""auth_svc without the hash that an unknown address costs: what a test of equal times has to find.

``python -m tests.services.undummied auth_svc`` starts it as ``lib.runner`` does.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # First: it brings in the greenlets, which no test process wants.
    from lib import runner  # isort: skip

from auth_svc.infrastructure.argon2 import Argon2Hasher

_verify = Argon2Hasher.verify


def verify(self: Argon2Hasher, password_hash: str | None, password: str) -> bool:
    return password_hash is not None and _verify(self, password_hash, password)


if __name__ == "__main__":
    Argon2Hasher.verify = verify  # type: ignore[method-assign]
    sys.exit(runner.main(sys.argv[1:]))
