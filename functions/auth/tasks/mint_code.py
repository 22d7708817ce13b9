"""Task auth-mint-code: make the code of a challenge when its message is written."""

from common.contracts.auth import MINT_CODE
from common.tasks import serve

from functions.auth.bootstrap import codes

handler = serve(MINT_CODE, lambda request: codes().mint(request))
