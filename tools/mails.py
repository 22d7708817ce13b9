"""Prints the mails and text messages that were sent, as JSON lines: `python -m tools.mails` (`make mails`)."""

import json
from datetime import UTC, datetime
from typing import Any

from emulator.settings import Run
from tools.http import send


def messages(run: Run) -> list[dict[str, Any]]:
    """Return what was sent, oldest first: `to, subject, text, html, sent_at`. A text message has no subject or HTML."""
    mails = [mail for sent in _read(run, "ses/messages")["messages"].values() for mail in sent]
    texts = [text for sent in _read(run, "sns/sms-messages")["sms_messages"].values() for text in sent]
    everything = [
        *(_message(", ".join(mail["To"]), mail["Subject"], mail["BodyText"], mail["BodyHtml"], mail) for mail in mails),
        *(_message(text["PhoneNumber"], None, text["Message"], None, text) for text in texts),
    ]
    return sorted(everything, key=lambda message: str(message["sent_at"]))


def _message(to: str, subject: str | None, text: str, html: str | None, sent: dict[str, Any]) -> dict[str, Any]:
    sent_at = datetime.fromtimestamp(sent["Timestamp"], UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"to": to, "subject": subject, "text": text, "html": html or None, "sent_at": sent_at}


def _read(run: Run, what: str) -> Any:
    return send("GET", f"{run.aws_url}/_ministack/{what}").json


if __name__ == "__main__":
    for each in messages(Run.current()):
        print(json.dumps(each, ensure_ascii=False))
