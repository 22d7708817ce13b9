"""Hold money of an account for a transfer."""

from common.contracts.accounts import RESERVE
from common.tasks import serve

from functions.accounts.bootstrap import ledger

handler = serve(RESERVE, lambda request: ledger().reserve(request))
