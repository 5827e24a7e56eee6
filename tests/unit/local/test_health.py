"""Waiting for health checks."""

from deploy.local import health

URLS = {"gateway": "http://g/health", "auth_svc": "http://a/health"}


def wait(answers, **changes):
    """Run `health.wait` against a script of answers per URL; the last one repeats."""
    passed = []

    def check(url):
        script = answers[url]
        return health.Answer(script.pop(0) if len(script) > 1 else script[0])

    arguments = {"timeout": 5, "interrupted": lambda: False, **changes}
    return health.wait(URLS, passed=passed.append, check=check, interval=0, **arguments), passed


def test_every_check_is_asked_until_it_passes_and_not_again():
    problems, passed = wait({"http://g/health": ["starting", "starting", ""], "http://a/health": ["", "ill"]})

    assert problems == {}
    assert passed == ["auth_svc", "gateway"]


def test_what_did_not_pass_in_time_is_named_with_its_last_answer():
    problems, passed = wait({"http://g/health": ["503 broker away"], "http://a/health": [""]}, timeout=0)

    assert problems == {"gateway": "503 broker away"}
    assert passed == ["auth_svc"]


def test_an_interruption_ends_the_waiting():
    problems, _ = wait({"http://g/health": ["starting"], "http://a/health": ["starting"]}, interrupted=lambda: True)

    assert set(problems) == set(URLS)
