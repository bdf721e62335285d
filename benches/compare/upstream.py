"""The upstream of every proxy: an nginx on the core of the load generator, with answers of 1 KB and 1 MB."""

import os

from machine import LOAD_CORES, free_port, program
from process import Process, wait_until
from web import answers

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
        os.makedirs(f"{folder}/files")
        with open(f"{folder}/files/1mb", "wb") as file:
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
