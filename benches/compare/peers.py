"""What Doorward is compared with: HAProxy and nginx, which log each request to a file as it does, and what knows no HTTP."""

import os
import subprocess
from dataclasses import dataclass

from machine import LOAD_CORES, PROXY_CORES, free_port, most_files, program
from process import Process, wait_until
from proxy import Proxy
from upstream import nginx_user
from web import listens

HERE = os.path.dirname(os.path.abspath(__file__))

HAPROXY = """\
global
    nbthread {threads}
    maxconn {connections}
    log stdout format raw local0 info
defaults
    mode http
    log global
    option httplog
    timeout client 120s
    timeout server 120s
    timeout connect 5s
    timeout http-keep-alive 120s
    http-reuse always
    option http-keep-alive
frontend fe
    bind 127.0.0.1:{port}{bind}
{guard}\
    default_backend be
backend be
    server s1 127.0.0.1:{upstream} pool-max-conn 1024{server}
"""

#: As HAProxy's documentation shows it: algorithm, signature, exp. No revocation, and nothing else of the token.
HAPROXY_GUARD = """\
    http-request deny unless {{ req.hdr(authorization) -m found }}
    http-request set-var(txn.bearer) http_auth_bearer
    http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
    http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
    http-request set-var(txn.now) date()
    http-request deny unless {{ var(txn.alg) -m str {algorithm} }}
    http-request deny unless {{ var(txn.bearer),jwt_verify(txn.alg,"{key}") -m int 1 }}
    http-request deny if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}
"""

NGINX = """\
{user}
worker_processes {workers};
worker_rlimit_nofile 20000;
daemon off;
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;
events {{ worker_connections 19000; multi_accept off; }}
http {{
  access_log {dir}/access.log combined buffer=64k;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  keepalive_timeout 300s; keepalive_requests 1000000000; client_max_body_size 0;
  upstream up      {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 1000000000; }}
  upstream authsvc {{ server 127.0.0.1:{service}; keepalive 256; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port}{listen} backlog=16384;
    {tls}
    location / {{
      {more}
      {auth_request}
      proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
    }}
    location = /_auth {{
      internal; proxy_pass http://authsvc; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_pass_request_body off; proxy_set_header Content-Length "";
    }}
  }}
}}
"""

#: The least that an authentication service can be: it lets everybody in.
SERVICE = """\
{user}
worker_processes 1;
worker_rlimit_nofile 20000;
daemon off;
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;
events {{ worker_connections 19000; }}
http {{
  access_log off; keepalive_timeout 300s; keepalive_requests 1000000000;
  server {{ listen 127.0.0.1:{port}; location / {{ return 204; }} }}
}}
"""


@dataclass(frozen=True)
class Peers:
    """Starts each in a folder of its own, in front of the upstream."""

    upstream: int

    def direct(self, _folder):
        """No proxy at all."""
        return Proxy(self.upstream)

    def floor(self, folder):
        """A C program that moves bytes and knows no HTTP (floor.c)."""
        port = free_port()
        subprocess.run([program("cc"), "-O2", "-o", f"{folder}/floor", f"{HERE}/floor.c"], check=True)
        process = Process([f"{folder}/floor", port, self.upstream], PROXY_CORES, f"{folder}/out.log")
        return _ready(Proxy(port, process))

    def haproxy(self, folder, algorithm=None, key=None, threads=1, cores=None, bind="", server="", upstream=None):
        """HAProxy; with an algorithm it verifies tokens, by a secret or the file of a public key. `bind` and `server` are more
        words for those lines."""
        port = free_port()
        config = HAPROXY.format(
            port=port,
            upstream=upstream or self.upstream,
            guard=HAPROXY_GUARD.format(algorithm=algorithm, key=key) if algorithm else "",
            threads=threads,
            # Each takes two files.
            connections=(most_files() - 200) // 2,
            bind=f" {bind}",
            server=f" {server}",
        )
        file = _write(f"{folder}/haproxy.cfg", config)
        process = Process([program("haproxy"), "-db", "-f", file], cores or PROXY_CORES, f"{folder}/access.log")
        return _ready(Proxy(port, process))

    def nginx(self, folder, auth_request=False, workers=1, cores=None, listen="", tls="", more=""):
        """nginx; with `auth_request` it asks another nginx whether a request may pass. `listen` is more words for that line,
        `tls` and `more` are lines for the server and for the location."""
        service = self._service(f"{folder}/service") if auth_request else None
        port = free_port()
        config = NGINX.format(
            user=nginx_user(),
            workers=workers,
            dir=folder,
            port=port,
            listen=f" {listen}",
            tls=tls,
            more=more,
            upstream=self.upstream,
            service=service.port if service else self.upstream,
            auth_request="auth_request /_auth;" if auth_request else "",
        )
        command = [program("nginx"), "-p", folder, "-c", _write(f"{folder}/nginx.conf", config)]
        process = Process(command, cores or PROXY_CORES, f"{folder}/out.log")
        return _ready(Proxy(port, process, service.process if service else None))

    def _service(self, folder):
        os.makedirs(folder)
        port = free_port()
        config = SERVICE.format(user=nginx_user(), dir=folder, port=port)
        command = [program("nginx"), "-p", folder, "-c", _write(f"{folder}/nginx.conf", config)]
        return Proxy(port, Process(command, LOAD_CORES, f"{folder}/out.log"))


def _write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def _ready(proxy):
    """Waits until it takes connections."""
    wait_until(lambda: listens(proxy.port), proxy.process)
    return proxy
