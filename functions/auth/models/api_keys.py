"""Requests and responses about API keys."""

from typing import Annotated, Literal

from common.http.fields import Body, Name, Resource
from pydantic import Field

from functions.auth.domain.api_keys import ApiKey, CreatedApiKey


class NewApiKey(Body):
    """The name and the scopes of a new API key."""

    name: Name
    scopes: Annotated[list[Literal["read", "write", "payments"]], Field(min_length=1, max_length=3)]


class ApiKeyResource(Resource):
    """An API key without its secret."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: str
    last_used_at: str | None

    @classmethod
    def of(cls, key: ApiKey) -> "ApiKeyResource":
        """Return the response for a key in a list."""
        return cls(**{name: getattr(key, name) for name in ApiKeyResource.model_fields})


class NewApiKeyResource(ApiKeyResource):
    """A new API key with its text, which is shown only once."""

    key: str = Field(repr=False)

    @classmethod
    def created(cls, created: CreatedApiKey) -> "NewApiKeyResource":
        """Return the response to the creation of a key."""
        return cls(**ApiKeyResource.of(created.key).model_dump(), key=created.text)
