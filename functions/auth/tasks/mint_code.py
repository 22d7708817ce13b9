"""Task auth-mint-code: the code of a challenge, when its mail is being written."""

from common.tasks import MINT_CODE, serve

from functions.auth.bootstrap import codes

handler = serve(MINT_CODE, lambda request: codes().mint(request))
