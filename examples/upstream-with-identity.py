#!/usr/bin/env python3
"""A backend that trusts the identity headers. Python 3.9 or newer, nothing to install.

    python3 examples/upstream-with-identity.py 3000
    cargo run --release -- --config examples/spa-and-api.toml

It may trust them because nobody but Doorward can reach it: bind it to the loopback address or to a private network.
Doorward removes every spelling of these headers that a client sends, on every route, and then sets its own.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


def identity(headers):
    """Who the request comes from, or None if it is anonymous (`auth = "none"`, or `"optional"` without a token).

    Values beyond printable ASCII, and `%` itself, are percent-encoded as UTF-8, so that they fit into a header.
    """
    user = headers.get("X-Auth-User-Id")
    if user is None:
        return None
    roles = headers.get("X-Auth-Roles", "")
    return {
        "id": unquote(user, errors="strict"),
        "issuer": headers.get("X-Auth-Issuer"),
        "email": unquote(headers.get("X-Auth-Email", ""), errors="strict"),
        "name": unquote(headers.get("X-Auth-Name", ""), errors="strict"),
        "roles": [unquote(role, errors="strict") for role in roles.split(",") if role],
        "session": headers.get("X-Auth-Session"),
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        who = identity(self.headers)
        greeting = f"Hello, {who['name']}!" if who else "Hello, stranger!"
        self.answer({"greeting": greeting, "you": who, "path": self.path})

    def answer(self, value):
        body = json.dumps(value).encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
