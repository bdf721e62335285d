"""The upstreams of every proxy, on the core of the load generator: an nginx with answers of 1 KB and 1 MB, and for uploads a
C program that reads them to their end."""

import os
import subprocess

from machine import LOAD_CORES, free_port, program
from process import Process, wait_until
from web import answers, listens

HERE = os.path.dirname(os.path.abspath(__file__))

CONFIG = """\
{user}
worker_processes 1;
worker_rlimit_nofile 20000;
daemon off;
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;
events {{ worker_connections 19000; }}
http {{
  access_log off;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  keepalive_timeout 300s; keepalive_requests 1000000000;
  client_max_body_size 0; sendfile on; open_file_cache max=10 inactive=1h; open_file_cache_valid 1h;
  server {{
    listen 127.0.0.1:{port} backlog=16384;
    listen 127.0.0.1:{port_http2} http2 backlog=16384;
    root {dir}/files;
    location / {{ default_type text/plain; return 200 "{kilobyte}"; }}
    location /auth-service {{ return 204; }}
    # What a proxy asks for has the prefix of its public route.
    location /public/files/ {{ alias {dir}/files/; }}
    location /files/ {{ alias {dir}/files/; }}
  }}
}}
"""


def nginx_user():
    """Workers run as nobody where the master is root, and could not read the private folder."""
    return "user root;" if os.geteuid() == 0 else ""


class Upstream:
    """Runs for as long as the benchmark does."""

    def __init__(self, folder):
        self.port, self.port_http2 = free_port(), free_port()
        self.files = f"{folder}/files"
        os.makedirs(self.files)
        with open(f"{self.files}/1mb", "wb") as file:
            file.write(b"x" * 1_000_000)
        config = CONFIG.format(
            user=nginx_user(), dir=folder, port=self.port, port_http2=self.port_http2, kilobyte="x" * 1024
        )
        with open(f"{folder}/nginx.conf", "w", encoding="ascii") as file:
            file.write(config)
        command = [program("nginx"), "-p", folder, "-c", f"{folder}/nginx.conf"]
        self.process = Process(command, LOAD_CORES, f"{folder}/out.log")
        wait_until(lambda: answers(self.port, "/"), self.process)

    def stop(self):
        """Stops it."""
        self.process.stop()


class Sink:
    """Where uploads go (sink.c)."""

    def __init__(self, folder):
        self.port = free_port()
        subprocess.run([program("cc"), "-O2", "-o", f"{folder}/sink", f"{HERE}/sink.c"], check=True)
        self.process = Process([f"{folder}/sink", self.port], LOAD_CORES, f"{folder}/sink.log")
        wait_until(lambda: listens(self.port), self.process)

    def stop(self):
        """Stops it."""
        self.process.stop()
