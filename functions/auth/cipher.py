"""The key that seals what has to be read again; it never leaves KMS."""

from typing import Any


class KmsCipher:
    """A symmetric key of KMS; what it sealed for one user opens for no other."""

    def __init__(self, client: Any, key_id: str) -> None:
        self._client = client
        self._key_id = key_id

    def encrypt(self, user_id: str, text: str) -> bytes:
        """A secret of a user's, sealed."""
        reply = self._client.encrypt(
            KeyId=self._key_id, Plaintext=text.encode(), EncryptionContext={"user_id": user_id}
        )
        return bytes(reply["CiphertextBlob"])

    def decrypt(self, user_id: str, sealed: bytes) -> str:
        """What was sealed for this user."""
        reply = self._client.decrypt(KeyId=self._key_id, CiphertextBlob=sealed, EncryptionContext={"user_id": user_id})
        text: bytes = reply["Plaintext"]
        return text.decode()
