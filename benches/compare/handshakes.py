"""A load of connections over TLS that bring one request each. wrk would resume its sessions; this never does."""

import socket
import ssl
import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Handshakes:
    """Threads that connect, ask for `path` once, and connect anew."""

    path: str = "/"
    threads: int = 8
    token = None
    tokens = None
    once = False

    def run(self, port, seconds):
        """Loads the port for so long: a row of figures."""
        took, failed, context = [], [], client_context()
        until = time.monotonic() + seconds

        def work():
            while (began := time.monotonic()) < until:
                try:
                    self._one(port, context)
                    took.append(time.monotonic() - began)
                except OSError as error:
                    failed.append(error)

        began = time.monotonic()
        hands = [threading.Thread(target=work) for _ in range(self.threads)]
        for hand in hands:
            hand.start()
        for hand in hands:
            hand.join()
        return {
            "requests": len(took),
            "seconds": time.monotonic() - began,
            **percentiles(took),
            "errors": {"connect": len(failed)},
        }

    def _one(self, port, context):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as connection:
                connection.sendall(f"GET {self.path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                read = b""
                while some := connection.recv(65536):
                    read += some
        if not read.startswith(b"HTTP/1.1 200 "):
            raise OSError(f"an answer begins {read[:40]!r}")


def client_context():
    """For a server whose certificate we made ourselves."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def percentiles(seconds):
    """p50, p99 and p99.9 in milliseconds."""
    ordered = sorted(seconds) or [0.0]
    shares = (("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999))
    return {key: ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e3 for key, share in shares}
