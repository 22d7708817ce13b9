"""Task auth-grant-role: a role for the user of a verified email; operators alone may invoke it."""

from common.tasks import GRANT_ROLE, serve

from functions.auth.bootstrap import administration

handler = serve(GRANT_ROLE, lambda request: administration().grant(request))
