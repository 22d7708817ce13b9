"""Pay the hold of a transfer to its destination."""

from common.contracts.accounts import SETTLE
from common.tasks import serve

from functions.accounts.bootstrap import ledger

handler = serve(SETTLE, lambda request: ledger().settle(request))
