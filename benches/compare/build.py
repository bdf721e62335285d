"""Builds the gateway and the program that makes its tokens."""

import json
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def binaries(options):
    """The gateway and the token maker: those that were named, or as they are shipped."""
    binary, mint = options.binary, options.mint
    if not binary:
        # One command, so that what both are made of is compiled once.
        built = _cargo("--profile", "dist", "--bin", "doorward", "--bench", "mint")
        binary, mint = built["doorward"], mint or built["mint"]
    # Beside a gateway that was named, how fast tokens are made does not matter.
    mint = mint or _cargo("--bench", "mint")["mint"]
    return os.path.abspath(binary), os.path.abspath(mint)


def _cargo(*words):
    """The programs that cargo built, by name."""
    command = ["cargo", "build", "--locked", "--message-format", "json-render-diagnostics", *words]
    print("+", *command, flush=True)
    said = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    messages = (json.loads(line) for line in said.splitlines() if line.startswith("{"))
    return {m["target"]["name"]: m["executable"] for m in messages if m.get("executable")}
