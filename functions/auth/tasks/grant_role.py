"""Task auth-grant-role: give the user of a verified email a role. Only operators may invoke it."""

from common.contracts.auth import GRANT_ROLE
from common.tasks import serve

from functions.auth.bootstrap import administration

handler = serve(GRANT_ROLE, lambda request: administration().grant(request))
