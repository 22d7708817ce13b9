"""Task auth-check-code: check a code that another context requested."""

from common.contracts.auth import CHECK_CODE
from common.tasks import serve

from functions.auth.bootstrap import codes

handler = serve(CHECK_CODE, lambda request: codes().check(request))
