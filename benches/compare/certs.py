"""A certificate for rows over TLS: P-256, signed by itself, made for this run."""

import subprocess
from dataclasses import dataclass

from machine import program


@dataclass(frozen=True)
class Certificate:
    """Files in PEM: the certificate, its key, and both in one, as HAProxy wants them."""

    cert: str
    key: str
    both: str


def make(folder):
    """A new one in this folder."""
    made = Certificate(f"{folder}/tls.crt", f"{folder}/tls.key", f"{folder}/tls.pem")
    command = [program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", made.key, "-out", made.cert], check=True, capture_output=True)
    with open(made.both, "w", encoding="ascii") as both:
        for name in (made.cert, made.key):
            with open(name, encoding="ascii") as file:
                both.write(file.read())
    return made
