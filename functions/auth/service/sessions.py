"""Sessions: opened by a login, carried on by refresh tokens, ended; and who an access token stands for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from common.clock import Clock
from common.errors import Problem
from common.events import Actor, Event
from common.http.lists import Page, take

from functions.auth.domain import Stale
from functions.auth.domain.codes import Passed
from functions.auth.domain.sessions import Claims, Device, RefreshToken, Session
from functions.auth.domain.throttle import Counters
from functions.auth.domain.users import User
from functions.auth.service import present


class Store(Protocol):
    """What sessions need of the table."""

    def user(self, user_id: str) -> User | None:
        """A user by id."""

    def session(self, user_id: str, session_id: str) -> Session | None:
        """A session of a user."""

    def live_sessions(self, user: User, at: datetime, older_than: str | None) -> Iterator[Session]:
        """The user's live sessions, newest first, from the one after `older_than`."""

    def is_known(self, device: Device, at: datetime) -> bool:
        """Whether the user signed in from there in the last 90 days."""

    def has_signed_in(self, user_id: str) -> bool:
        """Whether the user ever did."""

    def open_session(
        self,
        session: Session,
        user: User,
        device: Device,
        event: Event,
        counters: Counters,
        at: datetime,
        passed: Passed | None = None,
        *,
        first: bool,
    ) -> None:
        """Writes a new session of an active user's generation, uses up the second factor that they gave, and forgets
        failed logins for their email from this address.

        The device is known from then on, and that there was a `first` login. Raises Stale where the user is no more
        what the session says or has another second factor, where there was a first one already, where the code was
        used, and where failed logins ask for a wait.
        """

    def rotate(self, session: Session, before: Session) -> None:
        """Writes the session's next refresh token, where `before` still holds. Raises Stale."""

    def end_session(self, user_id: str, session_id: str, at: datetime) -> None:
        """Ends a session; ending one that has ended or never was changes nothing."""


class Tokens(Protocol):
    """How access tokens are made and read."""

    def issue(self, user: User, session_id: str, at: datetime) -> str:
        """A signed token of a session."""

    def verify(self, token: str) -> Claims:
        """What a token says. Raises Problem `unauthenticated`."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a login or refresh hands out."""

    user: User
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)


class Sessions:
    """Who is signed in."""

    def __init__(
        self,
        store: Store,
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

    def open(self, user: User, actor: Actor, counters: Counters, passed: Passed | None = None) -> Grant:
        """A new session for a user who has just proven who they are, with a second factor where they have one.

        `counters` are where their failed logins count. Raises Problem `invalid_credentials` where the user has
        meanwhile ended all sessions, has another second factor or is not active any more, and Stale where failed
        logins ask for a wait or the second factor was used up.
        """
        now = self._now()
        found = self._store.user(user.id)
        known = (user.generation, user.second_factor)
        if found is None or found.status != "active" or (found.generation, found.second_factor) != known:
            raise Problem("invalid_credentials")
        token = RefreshToken(found.id, self._new_id("ses", now), self._new_secret(), self._new_secret())
        # Signed before anything is written: a key that can't be reached leaves no session behind.
        grant = Grant(found, self._tokens.issue(found, token.session_id, now), token.text)
        session = Session.new(token, found.generation, now, actor)
        device = Device.of(found.id, now, actor)
        first = not self._store.has_signed_in(found.id)
        event = session.login_event(now, actor, new_device=not first and not self._store.is_known(device, now))
        self._store.open_session(session, found, device, event, counters, now, passed, first=first)
        return grant

    def refresh(self, text: str, actor: Actor) -> Grant:
        """The next tokens of a session. A token that was used before ends it, except within 10 seconds of that.

        Raises Problem `invalid_refresh_token`.
        """
        now = self._now()
        token = RefreshToken.parse(text)
        session = self._store.session(token.user_id, token.session_id) if token else None
        user = self._store.user(token.user_id) if token else None
        if token is None or session is None or user is None:
            raise Problem("invalid_refresh_token")
        match session.judge(token, user, now):
            case "end":
                self._store.end_session(session.user_id, session.id, now)
                raise Problem("invalid_refresh_token", "This refresh token was used before; the session has ended.")
            case "refuse":
                raise Problem("invalid_refresh_token")
        following = RefreshToken(token.user_id, token.session_id, token.family, self._new_secret())
        grant = Grant(user, self._tokens.issue(user, session.id, now), following.text)
        try:
            self._store.rotate(session.rotated(following, now, actor), session)
        except Stale as lost:
            raise Problem("invalid_refresh_token") from lost
        return grant

    def logout(self, refresh_tokens: list[str], access_token: str | None) -> None:
        """Ends every session that one of these tokens belongs to; one that has ended stays so.

        Raises Problem `unauthenticated` where nothing was presented, or nothing but a bad access token.
        """
        if access_token is not None or not refresh_tokens:
            try:
                claims = self._tokens.verify(access_token or "")
            except Problem:
                if not refresh_tokens:
                    raise
            else:
                self._store.end_session(claims.user_id, claims.session_id, self._now())
        for token in filter(None, map(RefreshToken.parse, refresh_tokens)):
            session = self._store.session(token.user_id, token.session_id)
            if session is not None and session.owns(token):
                self._store.end_session(session.user_id, session.id, self._now())

    def page(self, user_id: str, limit: int, older_than: str | None) -> Page:
        """The user's live sessions, newest first."""
        user = present(self._store.user(user_id))
        live = self._store.live_sessions(user, self._now(), older_than)
        return take(((session.id, session) for session in live), limit)

    def end(self, user_id: str, session_id: str) -> None:
        """Ends a session of the user's; one that has ended stays so. Raises Problem `not_found`."""
        if self._store.session(user_id, session_id) is None:
            raise Problem("not_found")
        self._store.end_session(user_id, session_id, self._now())

    def authorize(self, access_token: str) -> Claims:
        """Who is asking. Raises Problem `unauthenticated` for a bad token or one whose session or user is gone."""
        claims = self._tokens.verify(access_token)
        self.check(claims.user_id, claims.session_id)
        return claims

    def check(self, user_id: str, session_id: str) -> None:
        """Holds to a session's being live, before something is made that outlives it: the gateway lets a token of an
        ended one pass for a minute. Raises Problem `unauthenticated`."""
        session = self._store.session(user_id, session_id)
        user = self._store.user(user_id)
        if session is None or user is None or not session.is_live(self._now(), user):
            raise Problem("unauthenticated")
