from __future__ import annotations

import pytest

from tests.e2e.client import Client
from tests.support.stack import Stack


@pytest.fixture
def client(stack: Stack) -> Client:
    """Nobody yet, on the running product."""
    return Client(stack.url)
