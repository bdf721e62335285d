#!/usr/bin/env python3
"""A backend that need not trust the network: it verifies the assertion that the gateway signs for it.

    python3 -m venv venv && venv/bin/pip install 'PyJWT[crypto]'
    venv/bin/python examples/verify-assertion.py 3000 http://127.0.0.1:8080/auth orders

The arguments are a port, the gateway's `tokens.issuer`, and the name that this backend has among the gateway's upstreams.
The route says so (examples/other-services.toml):

    [[routes]]
    path = "/orders"
    upstream = "orders"
    assertion = true

Whoever else can reach this backend gets nowhere: an assertion is signed with the gateway's key, says for which upstream it
is, and lives for a minute. The user's access token never comes here.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt

port, issuer, audience = int(sys.argv[1]), sys.argv[2], sys.argv[3]

# The algorithm is ours to choose, never the assertion's: only those of public keys, and never `none`.
ALGORITHMS = ["EdDSA", "ES256", "ES384", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
# Keeps the keys for five minutes, and asks again when an assertion names one that is not among them.
KEYS = jwt.PyJWKClient(f"{issuer}/.well-known/jwks.json", lifespan=300)


def verify(assertion):
    """The claims of the assertion, or an exception."""
    if assertion is None:
        raise jwt.InvalidTokenError("no assertion")
    claims = jwt.decode(
        assertion,
        KEYS.get_signing_key_from_jwt(assertion),
        algorithms=ALGORITHMS,
        issuer=issuer,
        audience=audience,
        leeway=5,
        options={"require": ["exp", "iat", "iss", "aud", "sub"]},
    )
    # The same keys sign access tokens, and a client has one of those: it must not pass for an assertion (RFC 8725,
    # section 3.11).
    if jwt.get_unverified_header(assertion).get("typ") != "doorward-assertion+jwt":
        raise jwt.InvalidTokenError("not an assertion")
    return claims


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        # Two headers of one name could each be believed by another program.
        assertions = self.headers.get_all("X-Auth-Assertion", [])
        try:
            claims = verify(assertions[0] if len(assertions) == 1 else None)
        except jwt.PyJWTError as error:
            self.answer(401, {"error": str(error)})
        else:
            self.answer(200, {name: claims.get(name) for name in ("sub", "email", "name", "roles", "sid")})

    def answer(self, status, value):
        body = json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
