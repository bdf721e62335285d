"""Answers of 1 KB over 64 kept connections, one core for the proxy. Direct: no proxy; floor: a C program (floor.c) that moves
bytes and knows no HTTP. One token: the same with every request. 10,000 tokens: sent in turn, so that each was seen before. New
tokens: none is sent twice, so that each has to be verified. HAProxy checks algorithm, signature and exp, and no revocation; it
remembers no token. nginx with auth_request asks another nginx, which lets everybody in and whose own cost is in a column of its
own. All verify the same tokens of the same keys (RS256: 3072 bits)."""

from groups import LOAD, Candidate, Column, Group
from load import Wrk

ALGORITHMS = ("EdDSA", "ES256", "RS256", "HS256")
#: HAProxy 2.6 knows no EdDSA.
HAPROXY_ALGORITHMS = ("ES256", "RS256", "HS256")
#: How the rows of the three loads end, and what makes the load of each.
ONE, ROTATED, NEW = "one token", "10,000 tokens", "new tokens"

PUBLIC = Wrk("/public")


def group(bench):
    """The main group."""
    candidates = [
        Candidate("direct", lambda: bench.measured(bench.peers.direct, Wrk())),
        Candidate("floor", lambda: bench.measured(bench.peers.floor, Wrk())),
        Candidate("HAProxy", lambda: bench.measured(bench.peers.haproxy, Wrk())),
        Candidate("nginx", lambda: bench.measured(bench.peers.nginx, Wrk())),
        Candidate("nginx auth_request", lambda: bench.measured(lambda folder: bench.peers.nginx(folder, True), Wrk())),
        Candidate("Doorward public", lambda: public(bench)),
    ]
    for algorithm in ALGORITHMS:
        for kind in (ONE, ROTATED, NEW):
            if algorithm in HAPROXY_ALGORITHMS:
                candidates.append(_candidate("HAProxy", haproxy, bench, algorithm, kind))
            candidates.append(_candidate("Doorward", guarded, bench, algorithm, kind))
    columns = (*LOAD, Column("service_cpu_us", "auth service: CPU µs/request"))
    return Group("core", "One core, 64 kept connections, answers of 1 KB", __doc__, columns, candidates)


def verification(bench):
    """What of a new token's cost is the verification."""
    about = (
        "Signature and claims of tokens that were not seen before, one after the other on the proxy's core, without any request: "
        "what the rows with new tokens cost beyond those with one token is to be held against this."
    )
    candidates = [Candidate(f"verify {algorithm}", _verification(bench, algorithm)) for algorithm in ALGORITHMS]
    return Group("verify", "Verification alone", about, (Column("cpu_us", "CPU µs", 1),), candidates)


def _verification(bench, algorithm):
    return lambda: {"cpu_us": bench.gateway(algorithm).verification_us(bench.rotation())}


def name(product, algorithm, kind):
    """What a row is called."""
    return f"{product} {algorithm}, {kind}"


def _candidate(product, measure, bench, algorithm, kind):
    return Candidate(name(product, algorithm, kind), lambda: measure(bench, algorithm, kind))


def public(bench):
    """A round of a route without a guard."""
    return bench.measured(lambda _: bench.gateway().start(), PUBLIC)


def guarded(bench, algorithm, kind):
    """A round of a guarded route of the gateway."""
    gateway = bench.gateway(algorithm)
    # What warms it up must not be a token that is to be new.
    warm_up = PUBLIC if kind == NEW else None
    return bench.measured(lambda _: gateway.start(), load(bench, gateway, kind), warm_up)


def haproxy(bench, algorithm, kind):
    """A round of HAProxy with a guard."""
    gateway = bench.gateway(algorithm)
    start = lambda folder: bench.peers.haproxy(folder, algorithm, gateway.key)
    return bench.measured(start, load(bench, gateway, kind))


def load(bench, gateway, kind):
    """Requests with tokens of this gateway."""
    if kind == ONE:
        return Wrk(token=gateway.token())
    if kind == ROTATED:
        return Wrk(tokens=gateway.mint(bench.rotation()))
    return Wrk(tokens=gateway.mint(bench.new_tokens(gateway.algorithm)), once=True)
