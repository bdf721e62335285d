"""How long requests take while the proxy is not full: at half load, and while passwords are hashed beside them."""

import threading

from groups import LOAD, Candidate, Column, Group
from load import H2load, Wrk
from web import request

#: At once.
LOGINS = 60
GUARDED = "Doorward EdDSA, one token"
ACCOUNT = {"email": "ann@example.com", "password": "correct horse battery", "name": "Ann"}


def half_load(bench):
    """Half of what a proxy can do."""
    about = (
        "64 kept connections, by h2load, that send at a rate of which the proxy could answer twice as much. Same rate: half of "
        "what the slowest of them can answer, for all. Own half: half of what each can answer."
    )
    candidates = [
        Candidate(f"{product}, same rate", lambda product=product: _at(bench, product, _slowest(bench) / 2))
        for product in _ways(bench)
    ]
    candidates += [
        Candidate(f"{product}, own half", lambda product=product: _at(bench, product, _most(bench, product) / 2))
        for product in _ways(bench)
    ]
    return Group("half-load", "Half load", about, LOAD, candidates)


def _ways(bench):
    """How each is started, what its path is, and whether it wants a token."""
    return {
        "HAProxy": (lambda folder: bench.peers.haproxy(folder), "/", False),
        "nginx": (lambda folder: bench.peers.nginx(folder), "/", False),
        "Doorward public": (lambda _: bench.gateway().start(), "/public", False),
        GUARDED: (lambda _: bench.gateway().start(), "/", True),
    }


def _at(bench, product, rate):
    """A round at a rate."""
    start, path, guarded = _ways(bench)[product]
    token = bench.gateway().token() if guarded else None
    return kept_up(bench.measured(start, H2load(path, token, http1=True, rate=rate)), rate)


def kept_up(row, rate):
    """The row, with a remark where the proxy could not answer so many requests a second."""
    if row["rps"] < 0.97 * rate:
        row["note"] = "did not keep up with the rate"
    return row


def _most(bench, product):
    """How many requests a second it can answer: found once in each run."""
    if product not in bench.most:
        start, path, guarded = _ways(bench)[product]
        token = bench.gateway().token() if guarded else None
        bench.most[product] = bench.measured(start, Wrk(path, token))["rps"]
    return bench.most[product]


def _slowest(bench):
    return min(_most(bench, product) for product in _ways(bench))


def passwords(bench):
    """60 logins at once beside requests."""
    about = (
        f"A guarded route at half of what it can answer, alone and while {LOGINS} clients log in again and again, with bcrypt at "
        "cost 12 on the same core. The processor time holds the hashing."
    )
    columns = (*LOAD, Column("logins", "logins done", 0))
    candidates = [
        Candidate("Doorward, no logins", lambda: _beside(bench, 0)),
        Candidate(f"Doorward, {LOGINS} logins at once", lambda: _beside(bench, LOGINS)),
    ]
    return Group("bcrypt", "Logins beside requests", about, columns, candidates)


def _beside(bench, many):
    gateway = bench.gateway("EdDSA", "bcrypt")
    rate = _most(bench, GUARDED) / 2
    load = H2load(token=gateway.token(), http1=True, rate=rate)
    # They are all at one address.
    start = lambda _: gateway.start(more=f"[passwords]\nqueue_per_address = {LOGINS + 1}\n")
    return kept_up(bench.measured(start, Beside(load, many), warm_up=load), rate)


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
