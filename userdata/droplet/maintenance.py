"""Maintenance: while its page is there nginx answers with it, without a reload; releases go on as ever."""

from __future__ import annotations

import html

from droplet import page
from droplet.layout import Layout, replace_text

_SENTENCE = "We are working on this site. Please come back in a few minutes."


def close(layout: Layout, message: str) -> None:
    """Show visitors the page, with a sentence of one's own if there is one."""
    replace_text(layout.maintenance, written(message), 0o644)


def reopen(layout: Layout) -> None:
    """Let visitors reach the app again."""
    if layout.maintenance.exists():
        layout.maintenance.unlink()


def is_closed(layout: Layout) -> bool:
    """Say whether visitors see the page."""
    return layout.maintenance.exists()


def written(message: str) -> str:
    """Write the page."""
    lines = [html.escape(line) for line in message.strip().splitlines()]
    return page.write("Down for maintenance", "<br>".join(lines) or _SENTENCE)
