"""Close all accounts of a user who is being deleted."""

from common.contracts.accounts import CLOSE_ACCOUNTS
from common.tasks import serve

from functions.accounts.bootstrap import accounts

handler = serve(CLOSE_ACCOUNTS, lambda request: accounts().close_all(request))
