"""What does not get slower: many routes, many blocked tokens, many tokens that were seen; and two workers."""

import os
import sqlite3
import time

from core import ONE, guarded
from groups import LOAD, Candidate, Column, Group
from load import Wrk
from machine import LOAD_CORES, PROXY_CORES

#: How the table blocked_tokens calls a session.
SESSION = 2


def routes(bench):
    """1,000 routes against 1."""
    more = "".join(f'[[routes]]\npath = "/service-{n}/{{id}}/items"\nupstream = "app"\n' for n in range(998))
    public = Wrk("/public")
    candidates = [
        Candidate("Doorward, 2 routes", lambda: bench.measured(lambda _: bench.gateway().start(), public)),
        Candidate("Doorward, 1,000 routes", lambda: bench.measured(lambda _: bench.gateway().start(more=more), public)),
    ]
    return Group("routes", "1,000 routes", "A public route, alone beside a guarded one, and among 1,000.", LOAD, candidates)


def blocked(bench):
    """1,000,000 blocked tokens against 0."""
    about = (
        "A guarded route, one token. Beyond what is in the rows, all that is blocked is read again each minute "
        "(`revocation.full_reread`): `cargo bench --bench scale` says what that costs."
    )
    candidates = [
        Candidate("Doorward, 0 blocked tokens", lambda: guarded(bench, "EdDSA", ONE)),
        Candidate("Doorward, 1,000,000 blocked tokens", lambda: _blocked(bench)),
    ]
    return Group("blocked", "1,000,000 blocked tokens", about, LOAD, candidates)


def _blocked(bench):
    many = 10_000 if bench.options.quick else 1_000_000
    gateway = bench.gateway("EdDSA", "blocked")
    database = sqlite3.connect(f"{gateway.folder}/doorward.db")
    have = database.execute("SELECT count(*) FROM blocked_tokens").fetchone()[0]
    now = int(time.time() * 1000)
    rows = ((SESSION, os.urandom(16), 2**32 - 1, now + 86_400_000, now) for _ in range(many - have))
    database.executemany("INSERT INTO blocked_tokens (kind, value, gen, expires_at, blocked_at) VALUES (?, ?, ?, ?, ?)", rows)
    database.commit()
    database.close()
    return bench.measured(lambda _: gateway.start(), Wrk(token=gateway.token()))


def cached(bench):
    """100,000 tokens in the cache against 1."""
    about = "A guarded route whose cache of verified tokens has room for all; all were sent before."
    candidates = [
        Candidate("Doorward, 1 cached token", lambda: guarded(bench, "EdDSA", ONE)),
        Candidate("Doorward, 100,000 cached tokens", lambda: _cached(bench)),
    ]
    return Group("cached", "100,000 cached tokens", about, LOAD, candidates)


def _cached(bench):
    gateway = bench.gateway()
    many, seconds = (2_000, 1) if bench.options.quick else (100_000, 12)
    load = Wrk(tokens=gateway.mint(many))
    start = lambda _: gateway.start(tokens="cache_capacity = 200000")
    # Each has to be sent once before it counts.
    return bench.measured(start, load, warm_seconds=seconds)


def two_cores(bench):
    """Two workers against one."""
    about = (
        "One worker on one core, and two on two. The load and the upstream are on the second of the two, too, so that requests "
        "a second can't double: how well a proxy scales shows in its processor time per request, which should not grow."
    )
    both = PROXY_CORES | LOAD_CORES
    candidates = []
    for product, start in {
        "HAProxy": lambda folder, many, cores: bench.peers.haproxy(folder, threads=many, cores=cores),
        "nginx": lambda folder, many, cores: bench.peers.nginx(folder, workers=many, cores=cores),
        "Doorward public": lambda _, many, cores: bench.gateway().start(workers=many, cores=cores),
    }.items():
        load = Wrk("/public" if product.startswith("Doorward") else "/")
        candidates.append(Candidate(f"{product}, 1 worker", _workers(bench, start, load, 1, PROXY_CORES)))
        candidates.append(Candidate(f"{product}, 2 workers", _workers(bench, start, load, 2, both)))
    columns = (*LOAD, Column("capacity", "requests per CPU second, all cores", 0))
    return Group("two-cores", "Two workers", about, columns, candidates)


def _workers(bench, start, load, many, cores):
    def measure():
        row = bench.measured(lambda folder: start(folder, many, cores), load)
        return {**row, "capacity": many * 1e6 / row["cpu_us"]}

    return measure
