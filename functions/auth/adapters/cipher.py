"""Encryption of secrets with a KMS key."""

from typing import Any


class KmsCipher:
    """A symmetric KMS key. A secret that was encrypted for one user can't be decrypted for another."""

    def __init__(self, client: Any, key_id: str) -> None:
        self._client = client
        self._key_id = key_id

    def encrypt(self, user_id: str, text: str) -> bytes:
        """Return a secret of a user, encrypted."""
        reply = self._client.encrypt(
            KeyId=self._key_id, Plaintext=text.encode(), EncryptionContext={"user_id": user_id}
        )
        return bytes(reply["CiphertextBlob"])

    def decrypt(self, user_id: str, sealed: bytes) -> str:
        """Return the text of an encrypted secret. Raises botocore's ClientError if it belongs to another user."""
        reply = self._client.decrypt(KeyId=self._key_id, CiphertextBlob=sealed, EncryptionContext={"user_id": user_id})
        text: bytes = reply["Plaintext"]
        return text.decode()
