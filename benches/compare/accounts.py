"""Sign-ups, logins and refreshes, on SQLite and on MariaDB."""

import http.client
import itertools
import json
import threading
import time

from groups import Candidate, Column, Group
from handshakes import percentiles
from mariadb import Server
from proxy import under_load

COLUMNS = (
    Column("rps", "a second"),
    Column("cpu_ms", "CPU ms each", 2),
    Column("p50_ms", "p50 ms", 1),
    Column("p99_ms", "p99 ms", 1),
)
#: Clients, each with one kept connection and one request at a time.
CLIENTS = 8
PASSWORD = "correct horse battery"
STORES = ("SQLite", "MariaDB")

_numbers = itertools.count()


def group(bench):
    """All kinds on both databases."""
    about = (
        f"{CLIENTS} clients with a kept connection each. MariaDB is on the core of the clients and syncs each commit; its "
        "processor time is not in the rows. bcrypt at cost 12 as by default, and at 4 and 5, the cheapest: twice the "
        "processor time of a login at 4, less that at 5, is what a login costs beside the hash."
    )
    candidates = []
    for store in STORES:
        for what, cost in (("sign-ups", 12), ("logins", 12), ("logins", 4), ("logins", 5), ("refreshes", 12)):
            candidates.append(Candidate(name(store, what, cost), _round(bench, store, what, cost)))
    return Group("accounts", "Sign-ups, logins, refreshes", about, COLUMNS, candidates, most_rounds=5)


def name(store, what, cost):
    """What a row is called."""
    return f"{store}, {what}" if what == "refreshes" else f"{store}, {what} at cost {cost}"


def _round(bench, store, what, cost):
    def measure():
        gateway = bench.gateway("EdDSA", store, None if store == "SQLite" else lambda: _mariadb(bench))
        with gateway.start(more=f"[passwords]\nbcrypt_cost = {cost}\n") as proxy:
            row = under_load(proxy, Clients(what), bench.seconds)
        return {**row, "cpu_ms": row["cpu_us"] / 1e3}

    return measure


def _mariadb(bench):
    server = Server(f"{bench.folder}/mariadb")
    bench.stops.append(server.stop)
    return server.url


class Clients:
    """The clients, who sign up anew each time, or log in and refresh with an account of their own."""

    once = False

    def __init__(self, what):
        self.what, self.clients = what, []

    def run(self, port, seconds):
        """Does so for so long: a row of figures."""
        # Made by the warm-up, so that their sign-ups do not count.
        self.clients = self.clients or [_Client(port, self.what) for _ in range(CLIENTS)]
        for client in self.clients:
            client.took, client.failed = [], 0
        clients = self.clients
        began = time.monotonic()
        hands = [threading.Thread(target=client.work, args=[began + seconds]) for client in clients]
        for hand in hands:
            hand.start()
        for hand in hands:
            hand.join()
        took = [one for client in clients for one in client.took]
        return {
            "requests": len(took),
            "seconds": time.monotonic() - began,
            **percentiles(took),
            "errors": {"status": sum(client.failed for client in clients)},
        }


class _Client:
    def __init__(self, port, what):
        self.what, self.took, self.failed = what, [], 0
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.account = self._new_account()
        self.refresh_token = None
        if what != "sign-ups":
            _, answer = self._ask("signup", self.account)
            self.refresh_token = answer.get("refresh_token")

    @staticmethod
    def _new_account():
        return {"email": f"user{next(_numbers)}-{time.time_ns()}@example.com", "password": PASSWORD, "name": "Ann Example"}

    def work(self, until):
        while (began := time.monotonic()) < until:
            try:
                good = self._step()
            except (OSError, http.client.HTTPException, ValueError):
                # It connects anew by itself.
                self.connection.close()
                good = False
            if good:
                self.took.append(time.monotonic() - began)
            else:
                self.failed += 1

    def _step(self):
        if self.what == "sign-ups":
            return self._ask("signup", self._new_account())[0] == 201
        if self.what == "logins":
            return self._ask("login", {key: self.account[key] for key in ("email", "password")})[0] == 200
        status, answer = self._ask("refresh", {"refresh_token": self.refresh_token})
        self.refresh_token = answer.get("refresh_token")
        return status == 200

    def _ask(self, endpoint, body):
        self.connection.request("POST", f"/auth/{endpoint}", json.dumps(body), {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())
