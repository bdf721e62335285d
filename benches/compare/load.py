"""The load generators, on a core of their own: what they are asked for, and what they measured."""

import json
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass

from handshakes import percentiles
from machine import LOAD_CORES, program

HERE = os.path.dirname(os.path.abspath(__file__))
#: Keep-alive connections, unless a row says otherwise.
CONNECTIONS = 64


@dataclass(frozen=True)
class Wrk:
    """Requests as fast as they are answered, over kept connections, by one thread of wrk."""

    path: str = "/"
    #: Sent with every request.
    token: str | None = None
    #: A file of tokens that are sent one after the other.
    tokens: str | None = None
    #: Whether a token must never be sent twice.
    once: bool = False
    connections: int = CONNECTIONS
    tls: bool = False
    #: How many bytes to POST.
    body: int = 0

    def run(self, port, seconds):
        """Loads the port for so long: a row of figures."""
        scheme = "https" if self.tls else "http"
        command = [program("wrk"), "-t1", f"-c{self.connections}", f"-d{seconds}s", "--timeout", "10s"]
        command += ["-s", f"{HERE}/load.lua", "--latency"]
        if self.token:
            command += ["-H", f"Authorization: Bearer {self.token}"]
        command += [f"{scheme}://127.0.0.1:{port}{self.path}"]
        if self.tokens or self.body:
            command += ["--", self.tokens or "-", str(self.body)]
        said = _run(command)
        found = re.search(r"^RESULT (.*)$", said, re.MULTILINE)
        if not found:
            raise RuntimeError(f"wrk did not finish:\n{said}")
        return json.loads(found[1])


@dataclass(frozen=True)
class H2load:
    """Requests over HTTP/2, or at a rate, by h2load."""

    path: str = "/"
    token: str | None = None
    clients: int = CONNECTIONS
    #: At once on each connection.
    streams: int = 1
    http1: bool = False
    #: Requests a second of all clients together; 0: as many as are answered.
    rate: float = 0
    tls: bool = False
    # Tokens in turn are for wrk alone.
    tokens = None
    once = False

    def run(self, port, seconds):
        """Loads the port for so long: a row of figures."""
        with tempfile.NamedTemporaryFile(prefix="h2load-") as log:
            said = _run([*self._command(port, seconds), "--log-file", log.name])
            lines = [line.split() for line in log.read().decode().splitlines()]
        counts = _counts(said)
        took = [int(line[2]) / 1e6 for line in lines if len(line) == 3]
        if not took:
            raise RuntimeError(f"h2load got no answer:\n{said}")
        return {
            "requests": counts["done"],
            "seconds": float(seconds),
            **percentiles(took),
            "errors": {
                "failed": counts["failed"],
                "timeout": counts["timeout"],
                "status": sum(1 for line in lines if line[1:2] != ["200"]),
            },
        }

    def _command(self, port, seconds):
        scheme = "https" if self.tls else "http"
        command = [program("h2load"), "-D", str(seconds), "-c", str(self.clients), "-m", str(self.streams)]
        if self.http1:
            command += ["--h1"]
        if self.rate:
            command += ["--rps", f"{self.rate / self.clients:.3f}"]
        if self.token:
            command += ["-H", f"authorization: Bearer {self.token}"]
        return [*command, f"{scheme}://127.0.0.1:{port}{self.path}"]


def _counts(said):
    """The line "requests: 9 total, 9 started, …" of h2load."""
    line = re.search(r"^requests: (.*)$", said, re.MULTILINE)[1]
    return {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", line)}


def _run(command):
    def pin():
        os.sched_setaffinity(0, LOAD_CORES)

    ended = subprocess.run(command, capture_output=True, text=True, preexec_fn=pin, timeout=300, check=False)
    if ended.returncode != 0:
        raise RuntimeError(f"{command[0]} failed:\n{ended.stdout}{ended.stderr}")
    return ended.stdout
