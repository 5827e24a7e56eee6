from __future__ import annotations

import re
from configparser import ConfigParser
from typing import Any

import pytest
import yaml

from tests.architecture.files import ROOT, text_of


@pytest.fixture(scope="session")
def compose() -> dict[str, Any]:
    return yaml.safe_load(text_of("docker-compose.yml"))


@pytest.fixture(scope="session")
def settings() -> dict[str, str]:
    """Names and defaults of config.yaml."""
    lines = [line for line in text_of("config.yaml").splitlines() if not line.lstrip().startswith("#")]
    return dict(re.findall(r"\$\{(\w+):([^{}]*)\}", "\n".join(lines)))


@pytest.fixture(scope="session")
def setup_cfg() -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser
