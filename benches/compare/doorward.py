"""Doorward as it is measured: one gateway for each algorithm, with keys and tokens of its own."""

import json
import os
import secrets
import subprocess

from keys import public_pem
from machine import ALL_CORES, PROXY_CORES, free_port
from process import Process, wait_until
from proxy import Proxy
from web import answers, request

#: Limits, header rules, revocation and the access log are as they are by default: all on. Each request is logged at the
#: default level, as JSON. The tokens' life is longer than the run. Guesses are counted as they are by default, but for what
#: stops one address that signs up, logs in and refreshes without pause.
CONFIG = """\
[server]
listen = {plain}
workers = {workers}
max_connections = 19000
drain = "1s"
{server}
[admin]
listen = ""
[store]
url = "{store}"
migrate_on_start = true
[keys]
create = true
[tokens]
issuer = "http://127.0.0.1:8080/auth"
algorithm = "{algorithm}"
access_ttl = "1d"
{secret}
{tokens}
[throttle]
free_failures = 1000
signups_per_address = "off"
signups_per_network = "off"
refreshes_per_session = "off"
[log]
format = "json"
[upstreams.app]
servers = ["{upstream}"]
[[routes]]
path = "/"
upstream = "app"
[[routes]]
path = "/public"
upstream = "app"
auth = "none"
{more}
"""


class Gateway:
    """A gateway of one algorithm. It is started anew for each round, on the same database."""

    def __init__(self, binary, mint, folder, algorithm, upstream, store="sqlite://doorward.db"):
        self.binary, self.mint_program = binary, mint
        self.folder, self.algorithm = folder, algorithm
        self.upstream, self.store = upstream, store
        os.makedirs(folder)
        self.secret = secrets.token_hex(32) if algorithm.startswith("HS") else None
        # The first start makes the database and the key.
        with self.start():
            jwks = json.loads(request(self.port, "/auth/.well-known/jwks.json")[1])
        self.key = self.secret or public_pem(jwks["keys"][0], f"{folder}/public.pem")

    def start(self, workers=1, cores=None, server="", more="", upstream=None, tls=None, tokens=""):
        """A gateway that answers. `server`, `tokens` and `more` are lines of configuration; `tls` is what it listens with."""
        self.port = free_port()
        address = f"127.0.0.1:{self.port}"
        if tls:
            more += f'[tls]\nlisten = "{address}"\n[[certificates]]\ncert_file = "{tls.cert}"\nkey_file = "{tls.key}"\n'
        file = f"{self.folder}/gateway.toml"
        with open(file, "w", encoding="utf-8") as config:
            config.write(
                CONFIG.format(
                    plain=[] if tls else f'"{address}"',
                    workers=workers,
                    store=self.store,
                    algorithm=self.algorithm,
                    secret=f'secret = "{self.secret}"' if self.secret else "",
                    upstream=upstream or f"http://127.0.0.1:{self.upstream}",
                    server=server,
                    tokens=tokens,
                    more=more,
                )
            )
        command = [self.binary, "--config", file, "serve"]
        process = Process(command, cores or PROXY_CORES, f"{self.folder}/access.log", cwd=self.folder)
        wait_until(lambda: answers(self.port, "/auth/ping", tls=tls), process)
        return Proxy(self.port, process)

    def mint(self, count):
        """A file with at least so many valid tokens, one a line. It is made once."""
        file = f"{self.folder}/tokens-{count}"
        if not os.path.exists(file):
            command = [self.mint_program, f"{self.folder}/gateway.toml", str(count), file]
            subprocess.run(command, check=True, preexec_fn=lambda: os.sched_setaffinity(0, ALL_CORES))
        return file

    def verification_us(self, count):
        """How long one verification takes alone, on the core of the proxy, in microseconds."""
        command = [self.mint_program, f"{self.folder}/gateway.toml", "verify", self.mint(count)]
        pin = lambda: os.sched_setaffinity(0, PROXY_CORES)
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, preexec_fn=pin)
        return float(said.stdout)

    def token(self):
        """One valid token."""
        with open(self.mint(10), encoding="ascii") as file:
            return file.readline().strip()
