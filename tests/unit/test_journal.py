"""The journal of intents."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

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
    book.intend("l", "local", Kind.DROPLET, "d")
    assert ["k", "d"] == [entry.label for entry in book.entries()]


def test_what_a_newer_release_adds_to_a_line_is_passed_over(tmp_path: Path) -> None:
    """The rest of the line counts."""
    place = tmp_path / "journal.jsonl"
    Journal(place).intend("l", "local", Kind.DROPLET, "d", price=0.5)
    place.write_text(place.read_text().replace("{", '{"region": "fra1", ', 1))
    assert [("d", 0.5)] == [(one.label, one.price) for one in Journal(place).asked("local")]


@pytest.mark.parametrize(
    "damage",
    [
        b"\xff\xfe\n",
        b"[]\n",
        b"3\n",
        b'{"at": "x", "what": 1}\n',
        b'{"at": 1, "what": "intent", "launch": "x", "cloud": "local", "price": "dear"}\n',
        b'{"at": 1, "what": "intent", "launch": "x", "cloud": "local", "price": NaN}\n',
        b'{"at": 1' + b"0" * 400 + b', "what": "intent", "launch": "x", "cloud": "local"}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_damage_costs_the_damaged_lines_alone(tmp_path: Path, damage: bytes) -> None:
    """Whatever a broken disk leaves there, the rest is read."""
    place = tmp_path / "journal.jsonl"
    book = Journal(place)
    book.intend("l", "local", Kind.KEY, "k")
    place.write_bytes(damage + place.read_bytes() + damage)
    assert ["k"] == [entry.label for entry in book.entries()]


def test_what_may_exist_is_what_was_asked_for_and_neither_refused_nor_ended(tmp_path: Path) -> None:
    """Of each cloud its own; with the id where the answer was read."""
    book = Journal(tmp_path / "journal.jsonl")
    book.intend("a", "local", Kind.KEY, "key-a")
    book.done("a", "local", Kind.KEY, "7")
    book.intend("a", "local", Kind.DROPLET, "droplet-a")
    book.intend("b", "local", Kind.DROPLET, "droplet-b")
    book.refused("b", "local", Kind.DROPLET, "droplet-b")
    book.intend("c", "local", Kind.DROPLET, "droplet-c")
    book.ended("c", "local")
    book.intend("d", "digitalocean", Kind.DROPLET, "droplet-d")
    assert [("key-a", "7"), ("droplet-a", None)] == [(one.label, one.id) for one in book.asked("local")]


def test_the_journal_is_for_its_user_alone(tmp_path: Path) -> None:
    """0600, whatever the umask."""
    place = tmp_path / "journal.jsonl"
    Journal(place).ended("l", "local")
    assert 0o600 == stat.S_IMODE(place.stat().st_mode)


def test_accounts_are_told_apart(tmp_path: Path) -> None:
    """Each hears of its own launches, and whoever names the cloud alone of all; an end counts whoever proved it."""
    book = Journal(tmp_path / "journal.jsonl")
    book.intend("a", "local/1", Kind.DROPLET, "web-a", ("t",))
    book.done("a", "local/1", Kind.DROPLET, "7")
    book.intend("b", "local/2", Kind.DROPLET, "web-b")
    book.intend("c", "local", Kind.DROPLET, "web-c")
    assert [{"a", "c"}, {"b", "c"}, {"a", "b", "c"}] == [
        {one.launch for one in book.asked(account)} for account in ("local/1", "local/2", "local")
    ]
    assert ({7: "web-a"}, {}) == (book.made("local/1", Kind.DROPLET), book.made("local/2", Kind.DROPLET))
    assert ({"t"}, set()) == (book.tags("local/1", ["a"]), book.tags("local/2", ["a"]))
    assert [{"b"}, {"a"}, set()] == [book.elsewhere(account) for account in ("local/1", "local/2", "local")]
    book.ended("a", "local/2")
    assert ["c"] == [one.launch for one in book.asked("local/1")]
