"""TLS 1.3 from clients: kept connections, and one for each request; memory of idle ones is in idle.py."""

from groups import LOAD, Candidate, Group
from handshakes import Handshakes
from load import Wrk


def starts(bench):
    """How each is started with TLS: pairs of name and function."""
    return {
        "HAProxy": lambda folder: bench.peers.haproxy(folder, bind=f"ssl crt {bench.certificate.both}"),
        "nginx": lambda folder: bench.peers.nginx(
            folder,
            listen="ssl",
            tls=f"ssl_certificate {bench.certificate.cert}; ssl_certificate_key {bench.certificate.key};",
        ),
        "Doorward public": lambda _: bench.gateway().start(tls=bench.certificate),
    }


def kept(bench):
    """Requests over kept connections."""
    about = "TLS 1.3 and HTTP/1.1, a P-256 certificate."
    return _group(bench, "tls", "TLS, 64 kept connections", about, lambda path: Wrk(path, tls=True))


def handshakes(bench):
    """A handshake for each request."""
    about = (
        "Each request on a connection of its own, with a whole handshake of TLS 1.3 (P-256 certificate, no resumption), by 8 "
        "threads of Python: what they can do bounds the requests a second."
    )
    return _group(bench, "handshakes", "TLS, a handshake for each request", about, Handshakes)


def _group(bench, name, title, about, load):
    def measure(product, start):
        path = "/public" if product.startswith("Doorward") else "/"
        return lambda: bench.measured(start, load(path))

    candidates = [Candidate(product, measure(product, start)) for product, start in starts(bench).items()]
    return Group(name, title, about, LOAD, candidates)
