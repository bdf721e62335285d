"""Keys as OpenSSL would write them."""

import base64
import subprocess
import tempfile
import unittest

from keys import public_pem


def base64url(number):
    """A number as a JWK has it."""
    return base64.urlsafe_b64encode(number).rstrip(b"=").decode()


def openssl(*words, given=None):
    """What openssl prints."""
    return subprocess.run(["openssl", *words], input=given, capture_output=True, check=True).stdout


class Keys(unittest.TestCase):
    def as_pem(self, jwk):
        with tempfile.NamedTemporaryFile() as file, open(public_pem(jwk, file.name), "rb") as pem:
            # openssl reads it, and writes it again.
            return openssl("pkey", "-pubin", "-outform", "DER", given=pem.read())

    def test_a_point_of_p256(self):
        private = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        der = openssl("pkey", "-pubout", "-outform", "DER", given=private)
        jwk = {"kty": "EC", "crv": "P-256", "x": base64url(der[-64:-32]), "y": base64url(der[-32:])}
        self.assertEqual(self.as_pem(jwk), der)

    def test_an_rsa_modulus(self):
        private = openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
        der = openssl("pkey", "-pubout", "-outform", "DER", given=private)
        modulus = openssl("rsa", "-noout", "-modulus", given=private).decode().strip().partition("=")[2]
        jwk = {"kty": "RSA", "n": base64url(bytes.fromhex(modulus)), "e": "AQAB"}
        self.assertEqual(self.as_pem(jwk), der)

    def test_a_key_that_haproxy_does_not_verify_with(self):
        with tempfile.NamedTemporaryFile() as file:
            self.assertIsNone(public_pem({"kty": "OKP", "crv": "Ed25519", "x": "AA"}, file.name))


if __name__ == "__main__":
    unittest.main()
