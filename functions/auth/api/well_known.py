"""GET /v1/.well-known/jwks.json and GET /v1/.well-known/openid-configuration."""

from common.http.app import Api, Reply, Request
from common.http.fields import NoFields, Query

from functions.auth.bootstrap import tokens

api = Api()
_CACHED = {"Cache-Control": "public, max-age=300"}


@api.get("/.well-known/jwks.json", public=True)
def jwks(_: Request[NoFields, Query]) -> Reply:
    """Return the public keys that verify access tokens (RFC 7517)."""
    return Reply(200, {"keys": tokens().keys}, _CACHED)


@api.get("/.well-known/openid-configuration", public=True)
def openid_configuration(_: Request[NoFields, Query]) -> Reply:
    """Return the metadata of the issuer."""
    return Reply(200, tokens().metadata, _CACHED)


handler = api.handler
