"""The last state of every saga: closes the transfer."""

from common.tasks import COMPLETE, serve

from functions.transfers.bootstrap import service

handler = serve(COMPLETE, lambda request: service().complete(request))
