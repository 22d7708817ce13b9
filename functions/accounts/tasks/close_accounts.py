"""Closes the accounts of a user who leaves."""

from common.tasks import CLOSE_ACCOUNTS, serve

from functions.accounts.bootstrap.accounts import service

handler = serve(CLOSE_ACCOUNTS, lambda request: service().close_all(request))
