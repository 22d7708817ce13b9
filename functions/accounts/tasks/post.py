"""Moves money between two accounts, once a transfer and step."""

from common.tasks import POST, serve

from functions.accounts.bootstrap.ledger import service

handler = serve(POST, lambda request: service().post(request))
