"""GET /v1/accounts/{account_id}/statement: a period's entries between their opening and closing balance."""

from common.http import Api, Reply, Request
from common.http.fields import NoFields

from functions.accounts.bootstrap.journal import service
from functions.accounts.formats import render
from functions.accounts.models.statements import StatementQuery, format_for

api = Api()


@api.get("/accounts/{account_id}/statement", query=StatementQuery)
def get_statement(request: Request[NoFields, StatementQuery]) -> Reply:
    """A statement of an account of the caller's, or to an admin of anyone's, in the format that was asked for."""
    query, caller = request.query, request.principal
    statement = service().statement(
        request.id("account_id"), caller.user_id, is_admin=caller.is_admin, since=query.since, until=query.until
    )
    document = render(statement, query.format or format_for(request.headers.get("accept", "")))
    headers = {"Content-Disposition": f'attachment; filename="{document.file_name}"'} if document.file_name else {}
    return Reply(200, document.text, headers, content_type=document.content_type)


handler = api.handler
