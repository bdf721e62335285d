"""What connections cost that are kept and do nothing."""

import socket
import ssl
import tempfile
import time

from groups import Candidate, Column, Group
from handshakes import client_context
from machine import most_files
from over_tls import starts

COLUMNS = (
    Column("kib_per_connection", "KiB/connection", 2),
    Column("connections", "connections", 0),
    Column("idle_mb", "RSS MB without any"),
    Column("rss_mb", "RSS MB with them"),
    Column("idle_cpu", "core used while idle, %", 2),
)
#: How long the connections are left alone before the memory is read, in seconds: longer than until Doorward parks them (5).
SETTLE = 8


def plain(bench):
    """Over HTTP/1.1."""
    ways = {
        "HAProxy": lambda folder: bench.peers.haproxy(folder),
        "nginx": lambda folder: bench.peers.nginx(folder),
        "Doorward public": lambda _: bench.gateway().start(),
    }
    return _group(bench, "idle", "Idle connections", ways, None)


def encrypted(bench):
    """Over TLS."""
    return _group(bench, "idle-tls", "Idle connections over TLS", starts(bench), client_context())


def _group(bench, name, title, ways, context):
    about = (
        "10,000 connections (or as many as open files allow) that brought one request each and are kept. "
        "What a proxy grew by from its start on, over their number."
    )

    def measure(product, start):
        path = "/public" if product.startswith("Doorward") else "/"
        return lambda: _measure(bench, start, path, context)

    candidates = [Candidate(product, measure(product, start)) for product, start in ways.items()]
    return Group(name, title, about, COLUMNS, candidates, most_rounds=3)


def _measure(bench, start, path, context):
    many = 300 if bench.options.quick else min(10_000, (most_files() - 400) // 2)
    connections = []
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder, start(folder) as proxy:
        time.sleep(SETTLE / 3)
        before = proxy.process.rss_mb()
        try:
            for _ in range(many):
                connections.append(_ask(proxy.port, path, context))
            time.sleep(SETTLE)
            after, used = proxy.process.rss_mb(), proxy.process.cpu_seconds()
            time.sleep(SETTLE)
            idle_cpu = (proxy.process.cpu_seconds() - used) / SETTLE * 100
            lost = sum(1 for connection in connections if _is_closed(connection))
        finally:
            for connection in connections:
                connection.close()
    return {
        "connections": many,
        "idle_mb": before,
        "rss_mb": after,
        "kib_per_connection": (after - before) * 1e6 / 1024 / many,
        "idle_cpu": idle_cpu,
        "errors": {"closed": lost},
    }


def _ask(port, path, context):
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    if context:
        connection = context.wrap_socket(connection, server_hostname="localhost")
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head, _, body = _until(connection, b"\r\n\r\n").partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"an answer begins {head[:80]!r}")
    # The answers have 1,024 bytes.
    while len(body) < 1024:
        body += connection.recv(4096)
    return connection


def _until(connection, mark):
    read = b""
    while mark not in read:
        some = connection.recv(4096)
        if not some:
            raise RuntimeError("a connection was closed before its answer")
        read += some
    return read


def _is_closed(connection):
    """Whether the proxy has closed it: then it can be read, to its end."""
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
