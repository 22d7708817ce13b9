"""The last state of every saga: ends the transfer."""

from common.contracts.transfers import COMPLETE
from common.tasks import serve

from functions.transfers.bootstrap import completion

handler = serve(COMPLETE, lambda request: completion().complete(request))
