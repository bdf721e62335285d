"""How long requests take while the proxy is not full: at half load, and while passwords are hashed beside them."""

import threading

from groups import LOAD, Candidate, Column, Group
from load import H2load, Wrk
from web import request

#: At once.
LOGINS = 60
ACCOUNT = {"email": "ann@example.com", "password": "correct horse battery", "name": "Ann"}


def half_load(bench):
    """Half of what HAProxy can do, for everybody."""
    about = "64 kept connections, by h2load, that together send half of the requests a second that HAProxy can answer here."

    def guarded():
        gateway = bench.gateway()
        return _measured(bench, lambda _: gateway.start(), token=gateway.token())

    candidates = [
        Candidate("HAProxy", lambda: _measured(bench, bench.peers.haproxy)),
        Candidate("nginx", lambda: _measured(bench, bench.peers.nginx)),
        Candidate("Doorward public", lambda: _measured(bench, lambda _: bench.gateway().start(), path="/public")),
        Candidate("Doorward EdDSA, one token", guarded),
    ]
    return Group("half-load", "Half load", about, LOAD, candidates)


def _measured(bench, start, path="/", token=None):
    return bench.measured(start, H2load(path, token, http1=True, rate=_rate(bench)))


def _rate(bench):
    """Found once in each run."""
    if not bench.half_rate:
        bench.half_rate = bench.measured(bench.peers.haproxy, Wrk())["rps"] / 2
    return bench.half_rate


def passwords(bench):
    """60 logins at once beside requests."""
    about = (
        f"A guarded route at half load, alone and while {LOGINS} clients log in again and again, with bcrypt at cost 12 on the "
        "same core. The processor time holds the hashing."
    )
    columns = (*LOAD, Column("logins", "logins done", 0))
    candidates = [
        Candidate("Doorward, no logins", lambda: _beside(bench, 0)),
        Candidate(f"Doorward, {LOGINS} logins at once", lambda: _beside(bench, LOGINS)),
    ]
    return Group("bcrypt", "Logins beside requests", about, columns, candidates)


def _beside(bench, many):
    gateway = bench.gateway("EdDSA", "bcrypt")
    load = H2load(token=gateway.token(), http1=True, rate=_rate(bench))
    return bench.measured(lambda _: gateway.start(), Beside(load, many), warm_up=load)


class Beside:
    """A load with clients beside it that log in for as long as it lasts."""

    def __init__(self, load, many):
        self.load, self.many = load, many
        self.path, self.token, self.tokens, self.once, self.tls = load.path, load.token, None, False, False
        self.done = self.failed = 0

    def run(self, port, seconds):
        """Loads the port for so long: a row of figures, and how many logins were answered meanwhile."""
        ended = threading.Event()
        if self.many:
            status, _ = request(port, "/auth/signup", method="POST", body=ACCOUNT, timeout=30)
            if status not in (201, 409):
                raise RuntimeError(f"sign-up was answered {status}")
        for _ in range(self.many):
            # Those that wait for an answer at the end are not waited for: they end with the gateway.
            threading.Thread(target=self._log_in, args=[port, ended], daemon=True).start()
        row = self.load.run(port, seconds)
        ended.set()
        row["errors"]["login"] = self.failed
        return {**row, "logins": self.done}

    def _log_in(self, port, ended):
        body = {key: ACCOUNT[key] for key in ("email", "password")}
        while not ended.is_set():
            try:
                good = request(port, "/auth/login", method="POST", body=body, timeout=120)[0] == 200
            except OSError:
                good = False
            if not ended.is_set():
                self.done += good
                self.failed += not good
