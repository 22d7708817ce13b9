"""GET /accounts/{account_id}/statement"""

from common.http.app import Api, Reply, Request
from common.http.fields import NoFields

from functions.accounts.bootstrap import journal
from functions.accounts.models.statements import StatementDocument, StatementQuery, preferred_format

api = Api()


@api.get("/accounts/{account_id}/statement", query=StatementQuery)
def get_statement(request: Request[NoFields, StatementQuery]) -> Reply:
    """Return the statement of an account for a period, in the requested format, to its owner or an admin."""
    query, caller = request.query, request.principal
    statement = journal().statement(
        request.id("account_id"), caller.user_id, is_admin=caller.is_admin, since=query.since, until=query.until
    )
    wanted = query.format or preferred_format(request.headers.get("accept", ""))
    document = StatementDocument.of(statement, wanted, bom=query.bom == "true")
    headers = {"Content-Disposition": f'attachment; filename="{document.file_name}"'} if document.file_name else {}
    return Reply(200, document.text, headers, content_type=document.content_type)


handler = api.handler
