"""Reading text that any editor may have written: Windows' own begin with a mark, and some write two bytes a letter."""

from __future__ import annotations

import codecs
from pathlib import Path


def read(path: Path) -> str:
    """Read a file; what is no letter becomes a mark of that."""
    raw = path.read_bytes()
    wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = raw.decode("utf-16" if wide else "utf-8-sig", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")
