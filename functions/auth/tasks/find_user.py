"""Task auth-find-user: find a user by id, or by a verified email or phone number."""

from common.contracts.auth import FIND_USER
from common.tasks import serve

from functions.auth.bootstrap import users

handler = serve(FIND_USER, lambda request: users().find(request))
