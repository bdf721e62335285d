"""Doorward as it is measured: one gateway for each algorithm, with keys and tokens of its own."""

import json
import os
import secrets
import subprocess

from keys import public_pem
from machine import PROXY_CORES, free_port
from process import Process, wait_until
from proxy import Proxy
from web import answers, request

#: Limits, header rules, revocation and the access log are as they are by default: all on. Each request is logged at the
#: default level, as JSON. The tokens' life is longer than the run.
CONFIG = """\
[server]
listen = "127.0.0.1:{port}"
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

    def start(self, workers=1, cores=None, server="", more="", upstream=None):
        """A gateway that answers. `server` and `more` are lines of configuration."""
        self.port = free_port()
        file = f"{self.folder}/gateway.toml"
        with open(file, "w", encoding="utf-8") as config:
            config.write(
                CONFIG.format(
                    port=self.port,
                    workers=workers,
                    store=self.store,
                    algorithm=self.algorithm,
                    secret=f'secret = "{self.secret}"' if self.secret else "",
                    upstream=upstream or f"http://127.0.0.1:{self.upstream}",
                    server=server,
                    more=more,
                )
            )
        command = [self.binary, "--config", file, "serve"]
        process = Process(command, cores or PROXY_CORES, f"{self.folder}/access.log", cwd=self.folder)
        wait_until(lambda: answers(self.port, "/auth/ping"), process)
        return Proxy(self.port, process)

    def mint(self, count):
        """A file with at least so many valid tokens, one a line. It is made once."""
        file = f"{self.folder}/tokens-{count}"
        if not os.path.exists(file):
            subprocess.run([self.mint_program, f"{self.folder}/gateway.toml", str(count), file], check=True)
        return file

    def token(self):
        """One valid token."""
        with open(self.mint(10), encoding="ascii") as file:
            return file.readline().strip()
