"""Release the hold of a transfer."""

from common.contracts.accounts import RELEASE
from common.tasks import serve

from functions.accounts.bootstrap import ledger

handler = serve(RELEASE, lambda request: ledger().release(request))
