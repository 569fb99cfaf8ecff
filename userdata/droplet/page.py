"""The pages that nginx shows in place of the app's."""

from __future__ import annotations

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body{{font:1.1rem/1.6 system-ui,sans-serif;max-width:32rem;margin:18vh auto;padding:0 1rem;color:#234}}</style>
<h1>{title}</h1>
<p>{text}</p>
</html>
"""


def write(title: str, text: str) -> str:
    """Write a page; both are HTML already."""
    return _PAGE.format(title=title, text=text)
