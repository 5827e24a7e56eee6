import cProfile, pstats, time
from dataclasses import replace
from auth_svc.application.ensure_signing_key import ensure_signing_key
from auth_svc.application.register_account import register_account
from auth_svc.application.sign_in import sign_in
from auth_svc.infrastructure.argon2 import Argon2Hasher
from lib import relay

def test_tmp(instance, auth_sessions):
    ports = instance(RATE_LIMITS="off")
    ports = replace(ports, hasher=Argon2Hasher(lambda f,*a: f(*a), memory=8, passes=1))
    ensure_signing_key(ports)
    r=register_account(ports, email="ann@example.com", password="umbrella lantern gravel", name="Ann")
    def go(n):
        for _ in range(n):
            sign_in(ports, email="ann@example.com", password="umbrella lantern gravel", device_token=r.device_token)
    go(50)
    c=time.process_time(); t=time.perf_counter(); go(300); print("sign_in cpu ms", (time.process_time()-c)/300*1000, "wall", (time.perf_counter()-t)/300*1000)
    p=cProfile.Profile(); p.enable(); go(300); p.disable()
    pstats.Stats(p).sort_stats("tottime").print_stats(45)
    pstats.Stats(p).sort_stats("cumtime").print_stats(70)
