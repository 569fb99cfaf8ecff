"""The live display and its words, drawn on a terminal of the test's own; no cloud, no process."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from screens import Screen

from cloudship.cli.showing import seconds
from cloudship.display import is_live, on_stream
from cloudship.display.terminal import Terminal
from cloudship.display.words import facts, folded
from cloudship.events import Attempted, Chosen, Event, Noted, Output, PhaseEnded, PhaseFailed, PhaseStarted
from cloudship.models import PhaseTime

Draw = Callable[..., Screen]
ENDED = PhaseEnded(phase="plan", seconds=0.31, outcome="Flask: app.py defines app, requirements.txt names flask")
STARTED = PhaseStarted(phase="ssh", title="Reaching SSH")
WAITING = Attempted(waiting_for="SSH on 10.0.0.7", attempt=3, elapsed=12.2, limit=180, last="it refuses connections")


@pytest.fixture
def draw(monkeypatch: pytest.MonkeyPatch) -> Iterator[Draw]:
    """Show events on a terminal so wide, and give its screen while the display still runs."""
    monkeypatch.setenv("TERM", "xterm-256color")
    with ExitStack() as opened:

        def on(columns: int, *events: Event, encoding: str = "utf-8") -> Screen:
            monkeypatch.setenv("COLUMNS", str(columns))  # rich asks the process's own streams, which are none here
            screen = opened.enter_context(Screen(columns))
            stream = opened.enter_context(screen.stream(encoding))
            opened.callback(lambda: _drawn_over(screen))
            terminal = opened.enter_context(Terminal(stream))
            for event in events:
                terminal.notify(event)
            terminal._live.refresh()
            screen.read(0.01)
            return screen

        yield on


def _drawn_over(screen: Screen) -> None:
    """See that a display that has ended gives the cursor back."""
    screen.read(0.01)
    assert not screen.cursor_is_hidden


def test_the_current_phase_says_what_it_waits_for_since_when_and_the_last_answer(draw: Draw) -> None:
    """With the limit; phases that are over stand above it with their seconds, each once."""
    screen = draw(80, Chosen(cloud="digitalocean", price_hourly=0.00893, size="s-1vcpu-1gb"), ENDED, STARTED, WAITING)
    first, plan, phase, wait, last = screen.text.splitlines()
    assert "cloud: digitalocean, $0.00893 an hour for s-1vcpu-1gb" in first
    assert "+ plan        0.31 s  Flask: app.py defines app, requirements.txt names flask" == plan
    assert re.fullmatch(r". ssh +\d+\.\d\d s  Reaching SSH", phase)
    assert re.fullmatch(r"    waits since \d\d:\d\d:\d\d, 1\d of 180 s, for SSH on 10\.0\.0\.7", wait)
    assert "    last answer: it refuses connections" == last
    assert screen.cursor_is_hidden


@pytest.mark.parametrize("columns", [80, 40, 20])
def test_every_width_shows_everything(draw: Draw, columns: int) -> None:
    """Folded, not cut: phase, wait and answer are there."""
    screen = draw(columns, ENDED, STARTED, WAITING)
    words = " ".join(screen.text.split())
    assert "plan 0.31 s Flask: app.py" in words
    assert re.search(r"waits since \d\d:\d\d:\d\d, 1\d of 180 s, for SSH on 10.0.0.7", words)
    assert "last answer: it refuses connections" in words


def test_a_phase_that_is_over_is_drawn_once(draw: Draw) -> None:
    """Between its end and the next one's beginning nothing pretends to go on; an interrupt is no failure."""
    assert "+ plan" in draw(80, PhaseStarted(phase="plan", title="Planning"), ENDED).text
    assert "Planning" not in draw(80, PhaseStarted(phase="plan", title="Planning"), ENDED).text
    broken = draw(80, STARTED, PhaseFailed(phase="ssh", seconds=3.0, message="interrupted"))
    assert "x ssh         3.00 s  interrupted" == broken.text
    assert "x ssh         3.00 s  failed" == draw(80, PhaseFailed(phase="ssh", seconds=3.0, message="no")).text


def test_what_the_droplet_says_cannot_steer_the_terminal(draw: Draw) -> None:
    """Colours of a log are left out; titles and cursor movements are shown as what they are, and do nothing."""
    hostile = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[0m\ttext\r\u202eback"
    shown = r"\x1b]0;owned\x07\x1b[2Jred text \u202eback"
    assert f"last line: release: {shown}" in draw(120, STARTED, Output(origin="release", line=hostile)).text
    noted = draw(120, Noted(text=hostile, warning=True))
    assert f"warning: {shown}" == noted.text
    assert b"\x1b]0;" not in noted.raw


def test_no_color_means_no_colour_and_a_poor_encoding_means_no_dots(
    draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The display stays live; with NO_COLOR it sets no attribute, and without UTF-8 its mark is plain ASCII."""
    assert b"\x1b[32m" in draw(80, ENDED).raw
    poor = draw(80, STARTED, encoding="latin-1")
    assert re.match(r"[-\\|/] ssh", poor.text)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(rb"\x1b\[[0-9;]*m", draw(80, ENDED, STARTED, WAITING).raw)


def test_pipes_and_dumb_terminals_get_one_plain_line_a_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one escape sequence; attempts and lines of the droplet only when they are asked for."""
    monkeypatch.setenv("TERM", "dumb")
    with Screen() as screen, screen.stream() as stream:
        assert not is_live(stream)
        with on_stream(stream) as display:
            for event in (Chosen(cloud="local"), STARTED, WAITING, Output(origin="boot", line="x"), ENDED):
                display.notify(event)
        screen.read(0.01)
        assert ["cloud: local", f"plan        0.31 s  {ENDED.outcome}"] == screen.text.splitlines()
        assert b"\x1b" not in screen.raw
        with on_stream(stream, verbose=True) as display:
            display.notify(WAITING)
        screen.read(0.01)
        assert "waiting for SSH on 10.0.0.7, 12.2 of 180 s: it refuses connections" in screen.text


def test_a_display_that_is_paused_leaves_the_terminal_alone(draw: Draw) -> None:
    """Whoever asks for a password meanwhile is not drawn over, and the display goes on after it."""
    with Screen() as screen, screen.stream() as stream, Terminal(stream) as terminal:
        terminal.notify(STARTED)
        with terminal.paused():
            screen.read(0.01)
            assert (False, "") == (screen.cursor_is_hidden, screen.text)
            stream.write("Password: ")
            stream.flush()
            screen.read(0.3)
            assert "Password:" == screen.text
            stream.write("\r\n")
            stream.flush()
        screen.wait_for(lambda text: "Password:" in text and "Reaching SSH" in text)


def test_facts_are_folded_to_the_terminal_and_a_url_is_never_broken() -> None:
    """Two columns, one under the other where it is narrow, one line each without a terminal."""
    time = seconds([PhaseTime(name="host_key", seconds=1.04), PhaseTime(name="boot", seconds=7.0)])
    rows = [("url", "http://10.213.100.200/"), ("seconds", time)]
    assert ["  url      http://10.213.100.200/", "  seconds  8.0 = host_key 1.0, boot 7.0"] == facts(rows, None)
    assert [
        "  url",
        "    http://10.213.100.200/",
        "  seconds",
        "    8.0 =",
        "    host_key 1.0,",
        "    boot 7.0",
    ] == facts(rows, 20)
    assert ["one two", "three..."] == folded("one two three four", 8, most=2)
