from tests.integration.auth.test_auth_security_timing import *
from tests.integration.auth.conftest import *
from tests.conftest import *
from tests.support.timing import cliffs_delta
import statistics
def test_measure(ports):
    slow = replace(ports, hasher=Argon2Hasher(lambda function, *arguments: function(*arguments)))
    def register(address): assert register_account(slow, email=address, password=PASSWORD, name="Somebody") is None
    actions = {"taken": timed(lambda: register("ann@example.com")), "free": timed(lambda: register(unknown()))}
    for _ in range(5):
        s=interleaved(actions,40); print("reg", cliffs_delta(s["taken"],s["free"]), [statistics.median(v)*1000 for v in s.values()])
    actions = {
        "known": timed(lambda: forgot_password(ports, email="ann@example.com")),
        "unknown": timed(lambda: forgot_password(ports, email=unknown())),
    }
    for _ in range(5):
        s=interleaved(actions,60); print("forgot", cliffs_delta(s["known"],s["unknown"]), [statistics.median(v)*1000 for v in s.values()])
