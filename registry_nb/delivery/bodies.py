"""An event as the body of a message: as JSON, or as Slack and Teams show it; nothing in it becomes markup there."""

from __future__ import annotations

import json

from registry_nb.display.cells import brief, visible
from registry_nb.display.sentences import phrase
from registry_nb.domain.records import Event

_MOST = 2000


def body(event: Event, format: str) -> bytes:
    """Return the body in one of the forms of `operations.subscriptions`."""
    if format == "slack":
        text = _sentence(event).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return json.dumps({"text": text, "mrkdwn": False, "unfurl_links": False, "unfurl_media": False}).encode()
    if format == "teams":
        # Runs of text show what is in them; a TextBlock would read Markdown.
        runs = [{"type": "TextRun", "text": _sentence(event)}]
        card = {"type": "AdaptiveCard", "version": "1.4", "body": [{"type": "RichTextBlock", "inlines": runs}]}
        attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
        return json.dumps({"type": "message", "attachments": [attachment]}).encode()
    return event.json


def _sentence(event: Event) -> str:
    because = f" ({event.because})" if event.because else ""
    return brief(visible(f"{event.user} {phrase(event)}{because}"), _MOST)
