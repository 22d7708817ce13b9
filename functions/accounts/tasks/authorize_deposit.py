"""May this deposit be made?"""

from common.tasks import AUTHORIZE_DEPOSIT, serve

from functions.accounts.bootstrap.authorization import service

handler = serve(AUTHORIZE_DEPOSIT, lambda request: service().deposit(request))
