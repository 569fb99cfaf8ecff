"""The journal of intents."""

from __future__ import annotations

import stat
from pathlib import Path

from cloudship.journal import DONE, ENDED, INTENT, Journal
from cloudship.models import Kind


def test_entries_come_back_in_order(tmp_path: Path) -> None:
    """What is about to be created, what was, and what ended."""
    book = Journal(tmp_path / "deep" / "journal.jsonl")
    book.intend("l", "local", Kind.DROPLET, "web-l")
    book.done("l", "local", Kind.DROPLET, "7")
    book.ended("l", "local")
    assert [INTENT, DONE, ENDED] == [entry.what for entry in book.entries()]
    assert ["web-l", "7", ""] == [entry.label for entry in book.entries()]


def test_a_torn_last_line_is_passed_over(tmp_path: Path) -> None:
    """A crash in the middle of a write loses that line and no other."""
    place = tmp_path / "journal.jsonl"
    book = Journal(place)
    book.intend("l", "local", Kind.KEY, "k")
    place.write_bytes(place.read_bytes() + b'{"at": 1, "wh')
    assert ["k"] == [entry.label for entry in book.entries()]


def test_the_journal_is_for_its_user_alone(tmp_path: Path) -> None:
    """0600, whatever the umask."""
    place = tmp_path / "journal.jsonl"
    Journal(place).ended("l", "local")
    assert 0o600 == stat.S_IMODE(place.stat().st_mode)
