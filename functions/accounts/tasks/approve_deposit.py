"""Approve a deposit."""

from common.contracts.accounts import APPROVE_DEPOSIT
from common.tasks import serve

from functions.accounts.bootstrap import approvals

handler = serve(APPROVE_DEPOSIT, lambda request: approvals().deposit(request))
