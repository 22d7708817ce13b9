"""The state of the deposit saga that hands the deposit to its rail."""

from common.tasks import SUBMIT, serve

from functions.transfers.bootstrap import rail

handler = serve(SUBMIT, lambda request: rail().submit(request))
