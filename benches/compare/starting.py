"""How long a start takes, and what a proxy weighs that has nothing to do."""

import tempfile
import time

from groups import Candidate, Column, Group
from web import answers

COLUMNS = (
    Column("start_ms", "first 200 after, ms"),
    Column("rss_mb", "RSS MB then"),
    Column("idle_cpu", "core used while idle, %", 2),
)
#: How long a proxy is watched that does nothing, in seconds.
IDLE = 2


def group(bench):
    """Cold starts."""
    about = "From the command to the first 200 through the proxy, on a database that is there. Files are in the page cache."
    candidates = [
        Candidate("HAProxy", lambda: _measure(bench, lambda folder: bench.peers.haproxy(folder), "/")),
        Candidate("nginx", lambda: _measure(bench, lambda folder: bench.peers.nginx(folder), "/")),
        Candidate("Doorward", lambda: _measure(bench, lambda _: bench.gateway().start(), "/public")),
    ]
    return Group("start", "Cold start", about, COLUMNS, candidates)


def _measure(bench, start, path):
    bench.gateway()
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        began = time.monotonic()
        with start(folder) as proxy:
            while not answers(proxy.port, path):
                proxy.process.check()
            took = time.monotonic() - began
            time.sleep(0.5)
            before = proxy.process.cpu_seconds()
            time.sleep(IDLE)
            used = proxy.process.cpu_seconds() - before
            return {"start_ms": took * 1e3, "rss_mb": proxy.process.rss_mb(), "idle_cpu": used / IDLE * 100}
