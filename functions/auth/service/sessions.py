"""Sessions: opened by a login, continued by refresh tokens, ended, and checked by the authorizer."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from common.clock import Clock
from common.contracts.events import Actor
from common.errors import Refusal, Stale
from common.paging import Page, take

from functions.auth.domain.authenticators import Authenticator
from functions.auth.domain.codes import Attempts, UsedCode
from functions.auth.domain.sessions import Claims, Device, GrantedTokens, RefreshToken, Session
from functions.auth.domain.throttle import CounterKeys
from functions.auth.domain.users import User
from functions.auth.service import live_session, signed_in_user

if TYPE_CHECKING:
    from functions.auth.store import AuthStore


class Tokens(Protocol):
    """Issuing and verifying access tokens."""

    def issue(self, user: User, session_id: str, auth_time: int, at: datetime) -> str:
        """Return a signed token for a session whose user proved at `auth_time` who they are."""

    def verify(self, token: str) -> Claims:
        """Return the claims of a token. Raises Refusal `unauthenticated` if it is invalid."""


class Sessions:
    """The sessions of users."""

    def __init__(
        self,
        store: "AuthStore",
        tokens: Tokens,
        now: Clock,
        new_id: Callable[[str, datetime], str],
        new_secret: Callable[[], str],
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._now = now
        self._new_id = new_id
        self._new_secret = new_secret

    def open(self, user: User, actor: Actor, keys: CounterKeys, used: UsedCode | None = None) -> GrantedTokens:
        """Open a session for a user who has just logged in; `used` is the code of their second factor, if any.

        `keys` are where their failed logins count. Raises Refusal `invalid_credentials` if the user has since ended
        all sessions, changed the second factor or is no longer active, and Stale if failed logins require a wait or
        the code was used.
        """
        now = self._now()
        found = self._store.user(user.id)
        known = (user.generation, user.second_factor)
        if found is None or found.status != "active" or (found.generation, found.second_factor) != known:
            raise Refusal("invalid_credentials")
        token = RefreshToken(found.id, self._new_id("ses", now), self._new_secret(), self._new_secret())
        session = Session.new(token, found.generation, now, actor, has_second_factor=found.has_second_factor)
        # Signed before anything is written, so that an unreachable key leaves no session behind.
        granted = self._granted(found, session, token, now)
        device = Device.of(found.id, now, actor, found.generation)
        first = not self._store.has_signed_in(found.id)
        event = session.login_event(now, actor, new_device=not first and not self._store.is_known_device(device, now))
        self._store.open_session(session, found, device, event, keys, now, used, first=first)
        return granted

    def reauthenticate(
        self,
        user: User,
        session: Session,
        actor: Actor,
        keys: CounterKeys,
        used: UsedCode | None,
        attempts: Attempts | None,
        authenticator: Authenticator | None,
    ) -> GrantedTokens:
        """Return new tokens of a live session whose user has just proved again who they are. Older ones become void.

        `used` is their mailed code, or `attempts` and `authenticator` the effect of a code of their app, if any.
        Raises Stale as `store.reauthenticate`.
        """
        now = self._now()
        token = RefreshToken(user.id, session.id, self._new_secret(), self._new_secret())
        following = session.reauthenticated(token, now, actor, has_second_factor=user.has_second_factor)
        granted = self._granted(user, following, token, now)
        self._store.reauthenticate(following, session, user, keys, now, used, attempts, authenticator)
        return granted

    def _granted(self, user: User, session: Session, token: RefreshToken, at: datetime) -> GrantedTokens:
        return GrantedTokens(user, self._tokens.issue(user, session.id, session.auth_time, at), token.text)

    def refresh(self, text: str, actor: Actor) -> GrantedTokens:
        """Return the next tokens of a session. Using a token twice more than 10 seconds apart ends the session.

        Raises Refusal `invalid_refresh_token`.
        """
        now = self._now()
        token = RefreshToken.parse(text)
        session = self._store.session(token.user_id, token.session_id) if token else None
        user = self._store.user(token.user_id) if token else None
        if token is None or session is None or user is None:
            raise Refusal("invalid_refresh_token")
        match session.decide(token, user, now):
            case "end":
                self._store.end_session(session.user_id, session.id, now)
                raise Refusal("invalid_refresh_token", "This refresh token was used before. The session has ended.")
            case "refuse":
                raise Refusal("invalid_refresh_token")
        following = RefreshToken(token.user_id, token.session_id, token.family, self._new_secret())
        granted = self._granted(user, session, following, now)
        try:
            self._store.rotate(session.rotated(following, now, actor), session)
        except Stale as stale:
            raise Refusal("invalid_refresh_token") from stale
        return granted

    def logout(self, refresh_tokens: list[str], access_token: str | None) -> None:
        """End the session of each of these tokens. Sessions that have ended stay as they are.

        Raises Refusal `unauthenticated` if there is no token, or only an invalid access token.
        """
        if access_token is not None or not refresh_tokens:
            try:
                claims = self._tokens.verify(access_token or "")
            except Refusal:
                if not refresh_tokens:
                    raise
            else:
                self._store.end_session(claims.user_id, claims.session_id, self._now())
        for token in filter(None, map(RefreshToken.parse, refresh_tokens)):
            session = self._store.session(token.user_id, token.session_id)
            if session is not None and session.has_issued(token):
                self._store.end_session(session.user_id, session.id, self._now())

    def page(self, user_id: str, limit: int, older_than: str | None) -> Page:
        """Return the live sessions of a user, newest first."""
        user = signed_in_user(self._store.user(user_id))
        live = self._store.live_sessions(user, self._now(), older_than)
        return take(((session.id, session) for session in live), limit)

    def end(self, user_id: str, session_id: str) -> None:
        """End a session of a user, if it has not ended. Raises Refusal `not_found`."""
        if self._store.session(user_id, session_id) is None:
            raise Refusal("not_found")
        self._store.end_session(user_id, session_id, self._now())

    def authorize(self, access_token: str) -> Claims:
        """Return the claims of a token. Raises Refusal `unauthenticated` if it is invalid or its session has ended."""
        claims = self._tokens.verify(access_token)
        session = self._store.session(claims.user_id, claims.session_id)
        user = signed_in_user(self._store.user(claims.user_id))
        proved = live_session(session, user, self._now()).has_second_factor
        return replace(claims, has_second_factor=user.has_second_factor and proved)

    def check_live(self, user_id: str, session_id: str) -> User:
        """Return the user of a session. Raises Refusal `unauthenticated` unless it is live.

        Endpoints that create something that outlives the session check again.
        """
        session = self._store.session(user_id, session_id)
        user = signed_in_user(self._store.user(user_id))
        live_session(session, user, self._now())
        return user
