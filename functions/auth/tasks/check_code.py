"""Task auth-check-code: a try of a code that another room asked for."""

from common.tasks import CHECK_CODE, serve

from functions.auth.bootstrap import codes

handler = serve(CHECK_CODE, lambda request: codes().check(request))
