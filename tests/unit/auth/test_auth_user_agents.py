"""What a client calls itself, in words for a person."""

import subprocess
import sys

import pytest

from auth_svc.infrastructure.user_agents import device_of

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/120.0.0.0 Safari/537.36", "Chrome on Windows"),
        (
            f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {WEBKIT} Chrome/120.0.0.0 Mobile Safari/537.36",
            "Chrome Mobile on Android",
        ),
        ("curl/8.5.0", "curl"),
        ("Linux", "Linux"),
        ("something else", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
        ("x" * 100_000, "unknown"),
        ("Mozilla/5.0 " + "(" * 500, "unknown"),
        ("\x00\ud800<script>", "unknown"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_device_is_told_by_browser_and_system(user_agent, device):
    assert device_of(user_agent) == device


def test_the_patterns_are_loaded_when_they_are_first_needed():
    script = (
        "import sys, auth_svc.infrastructure.reads\n"
        "from auth_svc.infrastructure.user_agents import device_of\n"
        "device_of(None)\n"
        "assert 'ua_parser' not in sys.modules\n"
        "device_of('curl/8')\n"
        "assert 'ua_parser' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=60)
