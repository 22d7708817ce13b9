"""Move money between two accounts, once per transfer and step."""

from common.contracts.accounts import POST
from common.tasks import serve

from functions.accounts.bootstrap import ledger

handler = serve(POST, lambda request: ledger().post(request))
