"""May this transfer be made, and to whom does it go?"""

from common.tasks import AUTHORIZE_TRANSFER, serve

from functions.accounts.bootstrap.authorization import service

handler = serve(AUTHORIZE_TRANSFER, lambda request: service().transfer(request))
