"""Makes sure that a step of a transfer never posts."""

from common.tasks import REFUSE, serve

from functions.accounts.bootstrap.ledger import service

handler = serve(REFUSE, lambda request: service().refuse(request))
