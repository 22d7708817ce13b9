"""Signing access tokens with a KMS key. The private half never leaves KMS."""

from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from jwt.utils import der_to_raw_signature


class KmsSigner:
    """A KMS key of type ECC_NIST_P256."""

    def __init__(self, client: Any, key_id: str) -> None:
        self._client = client
        self._key_id = key_id

    def sign(self, message: bytes) -> bytes:
        """Return the ES256 signature of at most 4096 bytes in the form of JWS: r and s, 32 bytes each."""
        reply = self._client.sign(
            KeyId=self._key_id, Message=message, MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256"
        )
        return der_to_raw_signature(reply["Signature"], SECP256R1())

    @cached_property
    def public_key(self) -> EllipticCurvePublicKey:
        """The public key, read once a process."""
        key = load_der_public_key(self._client.get_public_key(KeyId=self._key_id)["PublicKey"])
        assert isinstance(key, EllipticCurvePublicKey)
        return key
