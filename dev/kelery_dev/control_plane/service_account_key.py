"""The key that signs service account tokens of the local API server.

An elliptic-curve key is a random number, so it needs no crypto library: the ASN.1 of RFC 5915 around 32
random bytes. The API server computes the public key itself.
"""

import base64
import os
import secrets
from pathlib import Path

# ECPrivateKey { version 1, privateKey OCTET STRING (32), parameters [0] prime256v1 }
_BEFORE = bytes.fromhex("30310201010420")
_AFTER = bytes.fromhex("a00a06082a8648ce3d030107")
_ORDER_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def new_key_pem() -> str:
    """A new P-256 private key as PEM."""
    number = secrets.randbelow(_ORDER_P256 - 1) + 1
    body = base64.b64encode(_BEFORE + number.to_bytes(32, "big") + _AFTER).decode()
    return f"-----BEGIN EC PRIVATE KEY-----\n{body}\n-----END EC PRIVATE KEY-----\n"


def ensure_private_file(file: Path, *, content: str) -> None:
    """Write the content with mode 0600, unless the file exists."""
    if file.exists():
        return
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(content)
