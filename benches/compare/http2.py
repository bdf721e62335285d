"""HTTP/2 without TLS, from clients and to upstreams."""

from groups import LOAD, Candidate, Group
from load import H2load, Wrk
from proxy import Proxy

MANY = H2load(clients=8, streams=8)


def incoming(bench):
    """HTTP/2 from clients, HTTP/1.1 to the upstream."""
    about = "8 connections of HTTP/2 with 8 requests at once on each, by h2load; HTTP/1.1 to the upstream. Direct: nginx itself."
    h2c = "h2c = true"

    def guarded():
        gateway = bench.gateway()
        return bench.measured(lambda _: gateway.start(server=h2c), H2load(clients=8, streams=8, token=gateway.token()))

    public = H2load("/public", clients=8, streams=8)
    candidates = [
        Candidate("direct", lambda: bench.measured(lambda _: Proxy(bench.upstream.port_http2), MANY)),
        Candidate("HAProxy", lambda: bench.measured(lambda folder: bench.peers.haproxy(folder, bind="proto h2"), MANY)),
        Candidate("nginx", lambda: bench.measured(lambda folder: bench.peers.nginx(folder, listen="http2"), MANY)),
        Candidate("Doorward public", lambda: bench.measured(lambda _: bench.gateway().start(server=h2c), public)),
        Candidate("Doorward EdDSA, one token", guarded),
    ]
    return Group("http2-in", "HTTP/2 from clients", about, LOAD, candidates)


def outgoing(bench):
    """HTTP/1.1 from clients, HTTP/2 to the upstream."""
    about = "HTTP/1.1 from 64 kept connections, HTTP/2 without TLS to the upstream. nginx can't do that."

    def haproxy(folder):
        return bench.peers.haproxy(folder, server="proto h2", upstream=bench.upstream.port_http2)

    def doorward(_):
        return bench.gateway().start(upstream=f"h2://127.0.0.1:{bench.upstream.port_http2}")

    candidates = [
        Candidate("HAProxy", lambda: bench.measured(haproxy, Wrk())),
        Candidate("Doorward public", lambda: bench.measured(doorward, Wrk("/public"))),
        Candidate("Doorward EdDSA, one token", lambda: bench.measured(doorward, Wrk(token=bench.gateway().token()))),
    ]
    return Group("http2-out", "HTTP/2 to the upstream", about, LOAD, candidates)
