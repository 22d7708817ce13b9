"""Keep an account open for money that a rail is asked for."""

from common.contracts.accounts import EXPECT
from common.tasks import serve

from functions.accounts.bootstrap import ledger

handler = serve(EXPECT, lambda request: ledger().expect(request))
