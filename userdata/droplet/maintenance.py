"""Maintenance: while its page is there nginx answers with it, without a reload; releases go on as ever."""

from __future__ import annotations

import html

from droplet.layout import Layout, replace_text

_SENTENCE = "We are working on this site. Please come back in a few minutes."
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Down for maintenance</title>
<style>body{{font:1.1rem/1.6 system-ui,sans-serif;max-width:32rem;margin:18vh auto;padding:0 1rem;color:#234}}</style>
<h1>Down for maintenance</h1>
<p>{sentence}</p>
</html>
"""


def close(layout: Layout, message: str) -> None:
    """Show visitors the page, with a sentence of one's own if there is one."""
    replace_text(layout.maintenance, page(message), 0o644)


def reopen(layout: Layout) -> None:
    """Let visitors reach the app again."""
    if layout.maintenance.exists():
        layout.maintenance.unlink()


def is_closed(layout: Layout) -> bool:
    """Say whether visitors see the page."""
    return layout.maintenance.exists()


def page(message: str) -> str:
    """Write the page."""
    lines = [html.escape(line) for line in message.strip().splitlines()]
    return _PAGE.format(sentence="<br>".join(lines) or _SENTENCE)
