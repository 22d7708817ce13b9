import base64
import hashlib
import hmac
import itertools
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from common import clock
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.auth.adapters.tokens import AccessTokens
from tests.unit.auth.fakes import LocalSigner
from tests.unit.auth.world import World, refused

ISSUER = "https://api.remit.example"
SESSION = "ses_01K0000000000000000000000A"
Forge = Callable[..., str]


@pytest.fixture
def signer() -> LocalSigner:
    return LocalSigner()


@pytest.fixture
def tokens(signer: LocalSigner) -> AccessTokens:
    return AccessTokens(signer, ISSUER)


@pytest.fixture
def forge(signer: LocalSigner, tokens: AccessTokens) -> Forge:
    """Return a function that signs any claims and header with the correct key."""

    def make(header: dict[str, Any] | None = None, without: str = "", **claims: Any) -> str:
        now = int(clock.now().timestamp())
        good = {
            "iss": ISSUER,
            "aud": f"{ISSUER}/v1",
            "sub": "usr_01K0000000000000000000000A",
            "sid": SESSION,
            "role": "customer",
            "email_verified": True,
            "scope": "read write payments",
            "auth_time": now,
            "iat": now,
            "nbf": now,
            "exp": now + 900,
            "jti": "1",
        }
        payload = {name: value for name, value in {**good, **claims}.items() if name != without}
        headers = {"typ": "at+jwt", "kid": tokens.keys[0]["kid"], **(header or {})}
        return jwt.encode(payload, signer.private_key, "ES256", headers)

    return make


def test_forged_tokens_are_valid_by_default(tokens: AccessTokens, forge: Forge) -> None:
    claims = tokens.verify(forge())
    assert (claims.session_id, claims.email_verified, claims.scopes) == (SESSION, True, ("read", "write", "payments"))


def test_a_token_has_the_claims_of_the_contract(world: World, tokens: AccessTokens, signer: LocalSigner) -> None:
    user, now = world.register(), clock.now()
    token = tokens.issue(user, SESSION, 7, now)
    decoded = jwt.decode_complete(token, signer.public_key, ["ES256"], audience=f"{ISSUER}/v1", issuer=ISSUER)
    assert decoded["header"] == {"alg": "ES256", "kid": tokens.keys[0]["kid"], "typ": "at+jwt"}
    issued = int(now.timestamp())
    payload = decoded["payload"]
    assert len(payload.pop("jti")) == 22
    assert payload == {
        "iss": ISSUER,
        "aud": f"{ISSUER}/v1",
        "sub": user.id,
        "sid": SESSION,
        "role": "customer",
        "email_verified": False,
        "scope": "read write payments",
        "auth_time": 7,
        "iat": issued,
        "nbf": issued,
        "exp": issued + 900,
    }


def test_no_two_tokens_are_equal(world: World, tokens: AccessTokens) -> None:
    user, now = world.register(), clock.now()
    assert tokens.issue(user, SESSION, 7, now).split(".")[1] != tokens.issue(user, SESSION, 7, now).split(".")[1]


def test_the_published_key_verifies_and_its_id_is_its_thumbprint(world: World, tokens: AccessTokens) -> None:
    published = jwt.PyJWKSet.from_dict({"keys": tokens.keys})
    token = tokens.issue(world.register(), SESSION, 7, clock.now())
    key = published[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, key, ["ES256"], audience=f"{ISSUER}/v1")["sid"] == SESSION
    assert set(tokens.keys[0]) == {"crv", "kty", "x", "y", "kid", "use", "alg"}
    assert len(tokens.keys[0]["kid"]) == 43


def test_a_thumbprint_follows_rfc_7638(tokens: AccessTokens) -> None:
    # The required members in lexicographic order, without spaces.
    members = ",".join(f'"{name}":"{tokens.keys[0][name]}"' for name in ("crv", "kty", "x", "y"))
    digest = hashlib.sha256(f"{{{members}}}".encode()).digest()
    assert tokens.keys[0]["kid"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")


def test_the_metadata_names_the_issuer_and_the_url_of_its_keys(tokens: AccessTokens) -> None:
    assert tokens.metadata["issuer"] == ISSUER
    assert tokens.metadata["jwks_uri"] == f"{ISSUER}/v1/.well-known/jwks.json"
    assert tokens.metadata["id_token_signing_alg_values_supported"] == ["ES256"]


def b64(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


class TestRotation:
    """A new key is published before it signs, and the old one is trusted until its last tokens expire."""

    def test_every_step_trusts_tokens_of_the_steps_next_to_it(self, world: World) -> None:
        old, new = LocalSigner(), LocalSigner()
        steps = [
            AccessTokens(old, ISSUER),
            AccessTokens(old, ISSUER, [new]),
            AccessTokens(new, ISSUER, [old]),
            AccessTokens(new, ISSUER),
        ]
        user, now = world.register(), clock.now()
        for before, after in itertools.pairwise(steps):
            # During a deployment both versions run, and each must accept the tokens of the other.
            for signs, reads in ((before, after), (after, before)):
                if signs.keys[0] in reads.keys:
                    assert reads.verify(signs.issue(user, SESSION, 7, now)).user_id == user.id
        assert steps[1].keys == steps[2].keys[::-1]
        self.refuse(steps[0], steps[2].issue(user, SESSION, 7, now))
        self.refuse(steps[3], steps[1].issue(user, SESSION, 7, now))

    def test_cached_public_keys_include_the_next_one(self, world: World) -> None:
        old, new = LocalSigner(), LocalSigner()
        kept = jwt.PyJWKSet.from_dict({"keys": AccessTokens(old, ISSUER, [new]).keys})
        token = AccessTokens(new, ISSUER, [old]).issue(world.register(), SESSION, 7, clock.now())
        key = kept[jwt.get_unverified_header(token)["kid"]]
        assert jwt.decode(token, key, ["ES256"], audience=f"{ISSUER}/v1")["sid"] == SESSION

    def test_a_token_of_a_retired_key_expires_normally(self, world: World) -> None:
        old, new = LocalSigner(), LocalSigner()
        user, now = world.register(), clock.now()
        reads = AccessTokens(new, ISSUER, [old])
        assert reads.verify(AccessTokens(old, ISSUER).issue(user, SESSION, 7, now - timedelta(minutes=14)))
        self.refuse(reads, AccessTokens(old, ISSUER).issue(user, SESSION, 7, now - timedelta(minutes=15, seconds=6)))

    def test_the_kid_decides_which_key_must_have_signed(self, world: World) -> None:
        old, new = LocalSigner(), LocalSigner()
        reads = AccessTokens(new, ISSUER, [old])
        _, claims, _ = reads.issue(world.register(), SESSION, 7, clock.now()).split(".")
        header = b64({"alg": "ES256", "typ": "at+jwt", "kid": reads.keys[1]["kid"]})
        signature = base64.urlsafe_b64encode(new.sign(f"{header}.{claims}".encode())).decode().rstrip("=")
        self.refuse(reads, f"{header}.{claims}.{signature}")

    def refuse(self, tokens: AccessTokens, token: str) -> None:
        refused("unauthenticated", tokens.verify, token)


class TestRefusals:
    def refuse(self, tokens: AccessTokens, token: str) -> None:
        refused("unauthenticated", tokens.verify, token)

    def test_alg_none(self, tokens: AccessTokens, forge: Forge) -> None:
        _, claims, signature = forge().split(".")
        for alg in ("none", "None", "NONE"):
            header = b64({"alg": alg, "typ": "at+jwt", "kid": tokens.keys[0]["kid"]})
            self.refuse(tokens, f"{header}.{claims}.")
            self.refuse(tokens, f"{header}.{claims}.{signature}")

    def test_hs256_with_the_public_key(self, tokens: AccessTokens, signer: LocalSigner, forge: Forge) -> None:
        claims = forge().split(".")[1]
        header = b64({"alg": "HS256", "typ": "at+jwt", "kid": tokens.keys[0]["kid"]})
        for encoding in (Encoding.PEM, Encoding.DER):
            secret = signer.public_key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
            mac = hmac.new(secret, f"{header}.{claims}".encode(), hashlib.sha256).digest()
            self.refuse(tokens, f"{header}.{claims}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}")

    def test_another_key(self, tokens: AccessTokens, forge: Forge) -> None:
        other = AccessTokens(LocalSigner(), ISSUER)
        refused("unauthenticated", other.verify, forge())

    def test_a_key_inside_the_token(self, tokens: AccessTokens, world: World) -> None:
        other = LocalSigner()
        theirs = AccessTokens(other, ISSUER)
        token = theirs.issue(world.register(), SESSION, 7, clock.now())
        _, claims, _ = token.split(".")
        header = b64({"alg": "ES256", "typ": "at+jwt", "kid": tokens.keys[0]["kid"], "jwk": theirs.keys[0]})
        signature = base64.urlsafe_b64encode(other.sign(f"{header}.{claims}".encode())).decode().rstrip("=")
        self.refuse(tokens, f"{header}.{claims}.{signature}")

    @pytest.mark.parametrize(
        "claims",
        [
            {"iss": "https://evil.example"},
            {"iss": f"{ISSUER}/"},
            {"aud": ISSUER},
            {"aud": "https://evil.example/v1"},
            {"aud": []},
            {"sub": 5},
            {"exp": "soon"},
            {"nbf": "soon"},
        ],
    )
    def test_a_wrong_claim(self, tokens: AccessTokens, forge: Forge, claims: dict[str, Any]) -> None:
        self.refuse(tokens, forge(**claims))

    @pytest.mark.parametrize(
        "name", ["iss", "aud", "sub", "sid", "role", "email_verified", "scope", "iat", "nbf", "exp", "jti"]
    )
    def test_a_missing_claim(self, tokens: AccessTokens, forge: Forge, name: str) -> None:
        self.refuse(tokens, forge(without=name))

    @pytest.mark.parametrize("header", [{"kid": "another"}, {"kid": ""}, {"typ": "JWT"}, {"typ": "at+JWT+x"}])
    def test_a_wrong_header(self, tokens: AccessTokens, forge: Forge, header: dict[str, Any]) -> None:
        self.refuse(tokens, forge(header))

    def test_no_kid(self, tokens: AccessTokens, signer: LocalSigner, forge: Forge) -> None:
        claims = jwt.decode(forge(), options={"verify_signature": False})
        self.refuse(tokens, jwt.encode(claims, signer.private_key, "ES256", {"typ": "at+jwt"}))

    def test_expired(self, tokens: AccessTokens, forge: Forge, world: World) -> None:
        now = clock.now()
        self.refuse(tokens, forge(exp=int(now.timestamp()) - 6))
        user = world.register()
        self.refuse(tokens, tokens.issue(user, SESSION, 7, now - timedelta(minutes=15, seconds=6)))
        assert tokens.verify(tokens.issue(user, SESSION, 7, now - timedelta(minutes=14))).user_id == user.id

    def test_not_yet_valid(self, tokens: AccessTokens, forge: Forge) -> None:
        later = int(clock.now().timestamp()) + 60
        self.refuse(tokens, forge(nbf=later))
        self.refuse(tokens, forge(iat=later))

    def test_a_tampered_payload(self, tokens: AccessTokens, forge: Forge) -> None:
        token = forge()
        header, _, signature = token.split(".")
        claims = jwt.decode(token, options={"verify_signature": False})
        self.refuse(tokens, f"{header}.{b64({**claims, 'role': 'admin'})}.{signature}")

    def test_a_refresh_token(self, tokens: AccessTokens, world: World) -> None:
        world.register()
        self.refuse(tokens, world.login().refresh_token)

    def test_a_tampered_signature(self, tokens: AccessTokens, forge: Forge) -> None:
        header, payload, signature = forge().split(".")
        self.refuse(tokens, f"{header}.{payload}.{signature[::-1]}")
        self.refuse(tokens, f"{header}.{payload}.{base64.urlsafe_b64encode(bytes(64)).decode().rstrip('=')}")
        self.refuse(tokens, f"{header}.{payload}.")
        self.refuse(tokens, f"{header}.{payload}")

    def test_a_deeply_nested_header(self, tokens: AccessTokens) -> None:
        header = base64.urlsafe_b64encode(b"[" * 20_000).decode().rstrip("=")
        self.refuse(tokens, f"{header}.e30.AAAA")

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.one_of(
            st.text(max_size=80),
            st.builds(
                lambda header, rest: f"{b64(header)}.{rest}",
                st.one_of(
                    st.recursive(
                        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
                        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
                        max_leaves=4,
                    ),
                    st.fixed_dictionaries(
                        {
                            "alg": st.sampled_from(["ES256", "none", "HS256", "RS256"])
                            | st.integers()
                            | st.lists(st.none())
                        }
                    ),
                ),
                st.sampled_from(["", "e30.", "e30.AAAA", "W10.AAAA", ".", "e30.e30.e30", "bnVsbA.AAAA"]),
            ),
        )
    )
    def test_anything_else(self, tokens: AccessTokens, token: str) -> None:
        self.refuse(tokens, token)
