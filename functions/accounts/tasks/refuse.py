"""Record that a step of a transfer never posts."""

from common.contracts.accounts import REFUSE
from common.tasks import serve

from functions.accounts.bootstrap import ledger

handler = serve(REFUSE, lambda request: ledger().refuse(request))
