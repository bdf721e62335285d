"""Public keys as HAProxy reads them: PEM files, made from the gateway's key set (RFC 7517)."""

import base64

#: SubjectPublicKeyInfo of an uncompressed P-256 point, up to the point itself (RFC 5480).
P256_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
#: AlgorithmIdentifier of rsaEncryption with its NULL (RFC 8017, appendix C).
RSA_ALGORITHM = bytes.fromhex("300d06092a864886f70d0101010500")


def public_pem(jwk, path):
    """Writes the key to a PEM file, of which it gives the path; None for a kind that HAProxy does not verify."""
    if jwk["kty"] == "EC" and jwk["crv"] == "P-256":
        der = P256_PREFIX + _bytes(jwk["x"]) + _bytes(jwk["y"])
    elif jwk["kty"] == "RSA":
        numbers = _der(0x30, _integer(_bytes(jwk["n"])) + _integer(_bytes(jwk["e"])))
        der = _der(0x30, RSA_ALGORITHM + _der(0x03, b"\0" + numbers))
    else:
        return None
    body = base64.encodebytes(der).decode()
    with open(path, "w", encoding="ascii") as file:
        file.write(f"-----BEGIN PUBLIC KEY-----\n{body}-----END PUBLIC KEY-----\n")
    return path


def _bytes(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _integer(number):
    # A leading zero keeps it positive.
    return _der(0x02, b"\0" + number if number[0] & 0x80 else number)


def _der(tag, content):
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content
