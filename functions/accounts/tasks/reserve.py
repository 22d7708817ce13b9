"""Sets money of an account aside for a transfer."""

from common.tasks import RESERVE, serve

from functions.accounts.bootstrap.ledger import service

handler = serve(RESERVE, lambda request: service().reserve(request))
