"""Approve a transfer, and resolve its parties."""

from common.contracts.accounts import APPROVE_TRANSFER
from common.tasks import serve

from functions.accounts.bootstrap import approvals

handler = serve(APPROVE_TRANSFER, lambda request: approvals().transfer(request))
