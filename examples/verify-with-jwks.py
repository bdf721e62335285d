#!/usr/bin/env python3
"""A backend that takes nobody's word: it verifies each access token itself, with the gateway's public keys.

    python3 -m venv venv && venv/bin/pip install 'PyJWT[crypto]'
    venv/bin/python examples/verify-with-jwks.py 3000 http://127.0.0.1:8080/auth doorward

The arguments are a port, the gateway's `tokens.issuer` and its `tokens.audience`. The gateway must be told to let the
token through, and must use an algorithm with public keys (any but HS*):

    [identity]
    forward_token = true

What a backend cannot see by itself is a logout: a token that it verifies is good until it expires. Requests that came
through the gateway were checked for that too, a moment before.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt

port, issuer, audience = int(sys.argv[1]), sys.argv[2], sys.argv[3]

# The algorithm is ours to choose, never the token's: only those of public keys, and never `none`.
ALGORITHMS = ["EdDSA", "ES256", "ES384", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
# Keeps the keys for five minutes, and asks again when a token names one that is not among them: that is how a new
# signing key becomes known.
KEYS = jwt.PyJWKClient(f"{issuer}/.well-known/jwks.json", lifespan=300)


def verify(authorization):
    """The claims of the bearer token, or an exception."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer":
        raise jwt.InvalidTokenError("no bearer token")
    claims = jwt.decode(
        token,
        KEYS.get_signing_key_from_jwt(token),
        algorithms=ALGORITHMS,
        issuer=issuer,
        audience=audience,
        leeway=5,
        options={"require": ["exp", "iat", "iss", "aud", "sub", "jti", "sid"]},
    )
    # An access token, and not some other JWT that the same key has signed (RFC 9068, section 2.1).
    if jwt.get_unverified_header(token).get("typ", "").lower() not in ("at+jwt", "application/at+jwt"):
        raise jwt.InvalidTokenError("not an access token")
    return claims


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        try:
            claims = verify(self.headers.get("Authorization"))
        except jwt.PyJWTError as error:
            self.answer(401, {"error": str(error)})
        else:
            self.answer(200, {"user": claims["sub"], "email": claims["email"], "roles": claims["roles"]})

    def answer(self, status, value):
        body = json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 401:
            self.send_header("WWW-Authenticate", 'Bearer error="invalid_token"')
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
