"""Task auth-request-code: a code for what another room guards."""

from common.tasks import REQUEST_CODE, serve

from functions.auth.bootstrap import codes

handler = serve(REQUEST_CODE, lambda request: codes().request(request))
