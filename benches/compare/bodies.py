"""Answers of 1 MB, and uploads of 64 KB."""

from groups import LOAD, Candidate, Group
from load import Wrk

UPLOAD_BYTES = 65536


def answers(bench):
    """Answers of 1 MB."""
    about = "nginx keeps what a client is slow to take in its buffers and files, as it does by default."
    load, public = Wrk("/files/1mb"), Wrk("/public/files/1mb")
    candidates = [
        Candidate("direct", lambda: bench.measured(bench.peers.direct, load)),
        Candidate("floor", lambda: bench.measured(bench.peers.floor, load)),
        Candidate("HAProxy", lambda: bench.measured(bench.peers.haproxy, load)),
        Candidate("nginx", lambda: bench.measured(bench.peers.nginx, load)),
        Candidate("Doorward public", lambda: bench.measured(lambda _: bench.gateway().start(), public)),
        Candidate("Doorward EdDSA, one token", lambda: _guarded(bench, lambda token: Wrk("/files/1mb", token))),
    ]
    return Group("answers-1mb", "Answers of 1 MB", about, LOAD, candidates)


def uploads(bench):
    """POST with 64 KB."""
    about = (
        "Each request is a POST with a body of 64 KB, which the upstream, a C program (sink.c), reads to its end before it "
        "answers. nginx passes bodies on as they come (proxy_request_buffering off), as the others do."
    )
    load, public = Wrk(body=UPLOAD_BYTES), Wrk("/public", body=UPLOAD_BYTES)

    def nginx(folder):
        return bench.upload_peers.nginx(folder, more="proxy_request_buffering off;")

    def doorward(_):
        return bench.gateway().start(upstream=f"http://127.0.0.1:{bench.sink.port}")

    def guarded():
        return bench.measured(doorward, Wrk(token=bench.gateway().token(), body=UPLOAD_BYTES))

    candidates = [
        Candidate("direct", lambda: bench.measured(bench.upload_peers.direct, load)),
        Candidate("floor", lambda: bench.measured(bench.upload_peers.floor, load)),
        Candidate("HAProxy", lambda: bench.measured(bench.upload_peers.haproxy, load)),
        Candidate("nginx", lambda: bench.measured(nginx, load)),
        Candidate("Doorward public", lambda: bench.measured(doorward, public)),
        Candidate("Doorward EdDSA, one token", guarded),
    ]
    return Group("uploads", "Uploads of 64 KB", about, LOAD, candidates)


def _guarded(bench, load):
    gateway = bench.gateway()
    return bench.measured(lambda _: gateway.start(), load(gateway.token()))
