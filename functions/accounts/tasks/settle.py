"""Pays the hold of a transfer to its destination."""

from common.tasks import SETTLE, serve

from functions.accounts.bootstrap.ledger import service

handler = serve(SETTLE, lambda request: service().settle(request))
