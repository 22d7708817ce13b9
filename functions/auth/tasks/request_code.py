"""Task auth-request-code: mail a code for something that another context guards."""

from common.contracts.auth import REQUEST_CODE
from common.tasks import serve

from functions.auth.bootstrap import codes

handler = serve(REQUEST_CODE, lambda request: codes().request(request))
