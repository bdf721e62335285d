"""The load generators, on a core of their own: what they are asked for, and what they measured."""

import json
import os
import re
import subprocess
from dataclasses import dataclass

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
    #: A file of tokens that are sent one after the other, and how many of them (0: all).
    tokens: str | None = None
    count: int = 0
    #: Whether a token must never be sent twice.
    once: bool = False
    connections: int = CONNECTIONS
    tls: bool = False

    def run(self, port, seconds):
        """Loads the port for so long: a row of figures."""
        scheme = "https" if self.tls else "http"
        command = [program("wrk"), "-t1", f"-c{self.connections}", f"-d{seconds}s", "--timeout", "10s"]
        command += ["-s", f"{HERE}/load.lua", "--latency"]
        if self.token:
            command += ["-H", f"Authorization: Bearer {self.token}"]
        command += [f"{scheme}://127.0.0.1:{port}{self.path}"]
        if self.tokens:
            command += ["--", self.tokens, str(self.count)]
        said = _run(command)
        found = re.search(r"^RESULT (.*)$", said, re.MULTILINE)
        if not found:
            raise RuntimeError(f"wrk did not finish:\n{said}")
        return json.loads(found[1])


def _run(command):
    def pin():
        os.sched_setaffinity(0, LOAD_CORES)

    ended = subprocess.run(command, capture_output=True, text=True, preexec_fn=pin, timeout=300, check=False)
    if ended.returncode != 0:
        raise RuntimeError(f"{command[0]} failed:\n{ended.stdout}{ended.stderr}")
    return ended.stdout
