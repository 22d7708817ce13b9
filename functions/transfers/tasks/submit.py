"""The state of the deposit saga that submits the deposit to its rail."""

from common.contracts.transfers import SUBMIT
from common.tasks import serve

from functions.transfers.bootstrap import rail

handler = serve(SUBMIT, lambda request: rail().submit(request))
