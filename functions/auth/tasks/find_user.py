"""Task auth-find-user: a user by id, or by an email or phone that is proven theirs."""

from common.tasks import FIND_USER, serve

from functions.auth.bootstrap import users

handler = serve(FIND_USER, lambda request: users().find(request))
