"""Gives the hold of a transfer back."""

from common.tasks import RELEASE, serve

from functions.accounts.bootstrap.ledger import service

handler = serve(RELEASE, lambda request: service().release(request))
