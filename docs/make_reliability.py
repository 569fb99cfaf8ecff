"""
Run the campaigns, in full, and keep their figures; write these, with the text around them, into `docs/reliability.md`.

    make_reliability.py [WORD ...]       those whose file is called so, or has the word in its name; all without one
    make_reliability.py --report FILE    runs nothing: takes what `make test` wrote where CAMPAIGN_REPORT led it

A campaign is a file of tests, and each is kept as soon as it has passed. What passed with the very same code is not run
again, so a run that was broken off goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
PAGE, FIGURES = ROOT / "docs" / "reliability.md", ROOT / "docs" / "reliability.json"
WITHOUT_MACHINES = ("tests/campaign/test_*.py",)
ON_MACHINES = (
    "tests/booted/test_*_faults.py",
    "tests/booted/releases/test_under_load.py",
    "tests/booted/test_cloud_killed_machines.py",
)
CODE = ("cloudship", "userdata", "tests")
MENDED = (
    "a tag of a launch's deadline, taken off and not yet away when the client was killed: it is taken away in one call",
    "a launch tag and keys on this machine, left by a killed `down`: launches are found by their files too",
    "a launch that died here and was taken for one under way until its deadline: whoever holds the lock knows better",
    "tags whose droplet never came to be: they are journalled with the intent",
    "tags that the listing of tags did not show yet: what a droplet carried is taken away unlisted",
    "a droplet that came back after its tags were gone: it is known by its id",
    "an answer that came drop by drop and held a command up for minutes: the limit is of the whole answer",
    "a revoked token in the middle of a launch ended with the status that says that nothing was created",
    "an answer whose head came drop by drop held a command up: the limit is of the whole answer, its head included",
    "an answer of 64 MB was kept whole: eight are the most, and packed ones are not asked for",
    "a token with a line end in it was shown by the traceback of `--debug`: it is refused before it is used",
    "a file of this machine, named by `-r` in the requirements of a repository from somewhere else, was sent along",
    "a password in a git URL was a word of a command, on the disk after a kill, and in the user-data of `render`",
    "an index URL with a token in place of a user went into user-data: it stays here",
    "a ttl of ten thousand years made tags that nobody could read, and a droplet that nobody took down",
    "a launch by somebody whose name has no ASCII letter made such tags too",
    "values in a file were cut at letters that only Python takes for a line end, and lost blanks that are none",
    "links that lead out of a tree only together were followed; so were the app's own on the way of `shared`",
    "a `.gitattributes` of the app left files out of a release and rewrote others: every byte is as it was pushed",
    "an `apt` name with a minus at its end would have removed a package, one with a dot could have meant thousands",
    "the twelve lines of an error could lose the one that says what to do, and move the cursor",
    "a host that went silent while a command was being begun held the client for ever: that has a limit too",
    "what a command said beyond what is kept filled the memory; lines of its two streams were mixed into one",
    "a handshake that was broken off kept the finished command waiting for another fifteen seconds",
    "a launch broken off in the rotation left a host for whom a thief could stand in: nothing is sent to it",
    "a local cloud killed before it had written its token opened to an empty one: it is whole or not there",
    "a local cloud killed in the middle of a delete brought the droplet back with an empty disk",
    "machines and network of a killed local cloud outlived `local stop` and `local reset`: both look for them",
    "a machine on its way down when the local cloud was killed was taken for one that runs",
    "a machine that a local cloud began in the moment of its death could run twice",
    "a droplet powered on in the moment of a kill ran and was shown as off",
    "a stray that could not be removed kept a whole local cloud from starting",
    "keys and pins that were written and not synced: a crash after the create locked their user out",
    "a state folder whose own name was not synced: a crash took the journal, and an unlisted launch leaked",
    "`down` right after `up`, before any listing shows the ship: what was made here is read by its id too",
    "a checkout that a crash left tied to a ship for ever: what is about to be tied is written down first",
    "a machine whose control group was half removed by a kill did not boot again, and its mounts and cable stayed",
    "a machine that did not boot left its mounts, its cable and its control group on the host",
    "a closed terminal: the first word that nobody heard broke the clean-up off, and the droplet leaked",
    "a sweep that was killed between key and launch tag left the tag for ever: the key goes last",
    "the tag of a ship's end stayed when `down` was broken off behind its droplet: the journal knows it",
    "a machine with a wrong clock wrote ends that others read wrongly, and reaped what lived: the cloud's time counts",
    "a refusal for one object ended a whole reap; a tag of a droplet that a lagging listing left out was swept away",
    "a listing with a total below nothing, or with objects twice, was taken for whole; a text for a list of tags",
    "launches from two machines both stayed where listings lagged: the last look waits for a rival whose key is there",
    "a launch whose droplet was taken away elsewhere waited five minutes for it: it says that it was taken down",
    "`down`, `reap` and `extend` did not take the ship's lock: who comes second on one machine is told who is first",
    "a ship lost its tag to a teardown that had seen nobody carry it, and was nobody's: name and launch say the same",
    "a deploy into a launch under way made a release that the launch did not wait for: the ship went; it is refused",
    "what a launch no longer needed, and could not take away at the first try, brought the whole ship down",
    "a pipe in the place of a file of ours kept a command waiting for ever: what is no file is not read",
    "a key file with a turned bit, or a folder of keys that cannot be listed, ended in an error that nobody foresaw",
    "`down` without git on the machine ended as wrong use, after the ship was gone: only its records stay",
    "a checkout stayed tied to a ship that was gone where git's configuration rewrites URLs",
    "a full disk behind standard output, and a process that may open no more files, were errors that nobody foresaw",
    "a mirror that is down was told as packages that nobody knows: apt takes lists that did not come for no failure",
    "a first boot that was killed, cut off or never begun was waited for until the limit: it has an end, and a reason",
    "a droplet that never lets our key in was asked for three minutes: half a minute is enough to know",
    "an installation that was cut off stopped every one after it: it is finished first",
    "nginx that does not start said only that: the address that is taken is named",
    "a release that nginx did not take was live and failed at once: the links lead back, and nginx is asked before",
    "a first boot that could not start nginx kept the release beside it waiting for half an hour",
    "a release on a full disk left half-written bytecode for all later ones: it is refused before anything is there",
    "a push that a full disk did not take was told in git's words: the droplet is asked why",
    "a checkout stayed tied to a ship that was gone where its disk was full: its record is kept until git can untie it",
    "a proxy or a port that a user's ssh has for all led `git push ship` elsewhere: it does not count for ships",
    "without ssh a launch found out at its push, with a droplet made: it is looked for before anything is created",
    "`--debug` showed the token where an API says it back, and the password of a proxy whose address is none",
    "a value or a password that stood where a name, a file or a verb should was shown by the refusal",
    "a private key in place of the name of its file was shown by the refusal: its beginning and its end",
    "the tag of an end that was given while the ship was taken down elsewhere stayed: it is taken away, and said so",
    "an error in a teardown was searched for logins back to the first one of all: it took the better part of a minute",
    "a live release that had once been started again could not be gone back to, and a failing one over it stayed live",
    "a launch from a folder whose name is no text was taken down at its very end, as something unforeseen",
    "a create answered with 409 after its effect made a second droplet: only what had no effect is asked for again",
    "an interrupted `up` said that nothing is left, unlooked: what is up is named, with its price and its command",
    "what to type after a second Ctrl-C was guessed from the words, and named another ship: the verbs know it",
    "`down --all` took every launch of a name, whoever's, and an empty name meant the folder's ship",
    "a ship that got more time between reap's look and its end went all the same: it is looked at right before",
    "what was started on a ship after its end ran on behind its page, and an end that was cut off was never finished",
    "an error in a thread that nobody foresaw was taken for success: it is raised where the thread is waited for",
    "a launch tag stayed where a teardown was refused a call, its records being lost: the key leads there, and stays",
    "what may be left where the API shows nothing was named without its price: the journal knows it",
    "more time for a ship that was taken down meanwhile ended as a resource that was not found: it says who is gone",
    "`down` elsewhere took the tag of a launch whose droplet was not listed yet: a young key's droplet is waited for",
    "`--on-failure keep` kept a launch that had given way, and the key of a refused create: it keeps a droplet alone",
    "a listing that shrank between two pages was taken for whole: it is read again",
    "a sweep that left a key advised a `down` which would have taken a living ship: it advises itself",
    "`down` and `reap` without any cloud within reach said that nothing is there: that is an error",
    "a launch within its limits could outlive its own deadline, and be reaped: the deadline is all limits together",
    "a folder's own `.git/config` could have git fetch by a command: git fetches nothing by itself",
    "a value, or a private key, typed in the wrong place was shown where it held a backslash or a line end",
    "a droplet that vanished kept `ssh` and `run` waiting for two hours: its silence ends them after a minute",
    "an end on the droplet that failed once was never looked at again, and a full disk kept the app running",
    "several commands at once failed over one unfinished file in the state folder: each has its own",
    "a release whose unit file is gone ended as a process that had ended well: the file is named",
    "a mirror whose lists are spoilt was told without a cause, where an image brings lists of its own: there is one",
    "a fault that no request can fit was taken and never struck, in a test of Ctrl-C too: it is refused",
    "`down` with another account's token took away the login to a ship of that name on the first: they are told apart",
    "`down --launch` elsewhere did not wait for the droplet of a young key: its tags went, and no verb found it",
    "one object gone and one come between two pages of a listing left out a third: pages are read until looks agree",
    "a listing of an account that keeps changing ended a rollback: after a few looks all that was seen is taken",
    "Ctrl-C while a failed launch was marked as dead left what looked like a ship: it is dead before it is not pending",
    "who came second was told a command that takes the first down: what is to be typed names the launch",
    "a teardown after `sys.exit` inside `with` was stopped by the first Ctrl-C: only an interrupt's is",
    "a dead launch made with an older token was busy until its deadline: the account shows it, so it is the account's",
    "a launch that had waited for a dead one to go could be over when it began: its ttl counts from then",
    "values stayed changed where the keys of the same deploy could not be stored: they are put back",
    "a kept launch that was repaired by a deploy was reaped while it answered: it is a ship from then on",
    "a copy of the app stayed in the folder for temporary files after a kill: the next command takes it away",
    "the sweep in the documents installed somebody else's package with the token in reach: it comes from a clone",
    "a test whose ship's name was taken took down the ship that had it: a fixture takes what its own launch made",
    "ships of tests went where the environment led, to a user's own cloud: they are on the test's",
    "a closed terminal, or a second signal, kept a test run's finalizers from the droplets: they go at the very end",
    "much input for a command that reads late was cut off, and hung it: it is sent to its end",
    "a listener that fails stopped the rollback too, and a droplet stayed: it ends the launch, and is told no more",
    "two Ctrl-C counted as one while a name was looked up, and none was heard: they are counted beside the main thread",
    "what had just answered was not named where its teardown saw nothing: the journal of that launch is asked",
    "the owner's tag of a launch stayed where its droplet went first and its tags did not: the key leads there",
    "git went on pushing after cloudship had ended: what a thread waits for ends with us",
)
TEXT = """# How it is proved that nothing leaks

Every case below runs one command in a process of its own against a local cloud without machines, breaks one thing at
one point of it, and is then judged by a process that has seen nothing: `cloudship down` must end well, the account must
be what it was, seven foreign objects that look like ours must be untouched, no private key may be left on this
machine, and neither the token nor a password nor a value of the app may be in any output, request, journal, user-data
or file, nor in a temporary file or the words of a program that was started. Who is not killed leaves no temporary file.

The points are not written by hand: commands that go well are watched, and every call of the API, every command on
the droplet, every write of the journal and every file of a launch is a point, before and after. A new call
is covered by itself. The clock is stepped and moves the local cloud's with it, so that waits cost nothing. What stands
for the droplet at the seams of SSH, git and HTTP is in `tests/campaign/machine.py`; real machines are in
`tests/booted/`.

T8 boots real ones, from tables: `tests/booted/bootfaults.py` for `up`, `tests/booted/shipfaults.py` for `deploy` over a
live release. Each row names what breaks, what mends it, and what the error must say; a row that names nothing is to be
got over. The clock of such a machine is the host's and cannot be set; what a wrong one comes to is shown to apt.

| campaign | what it does |
| --- | --- |
| T1 | SIGKILL at every point of `up`, `down`, `deploy`, `reap`; then again, or `down`, here or from another machine |
| T2 | at every such point Ctrl-C once and twice, SIGTERM, SIGHUP, a closed terminal: nothing is half done after one |
| T3 | the client's machine crashes at every write of `up` and `down`, and six file systems lose what was not synced |
| T4 | every call of four commands meets an error status: once, three times, for ever, before and after its effect |
| T5 | every such call meets a broken answer: reset, silence, half a body, HTML, drops, redirects |
| T6 | the answer to a create is lost in six ways while listings lag up to a minute: exactly one droplet |
| T7 | objects that do not behave: never active, no address, deletes that do not stick, and bodies changed at random |
| T8 | real droplets are spoilt, before `up` and live: mirror, dpkg, disk, memory, cloud-init, sshd, nginx, the app |
| T9 | the user's machine: no home, no git, no ssh, hostile configuration, full disk, spoiled state, sleep on the way |
| T14 | token, values, passwords, keys: looked for after every case, told with `--debug`, and all over a real machine |
| T10 | two, four, eight commands at once, on one machine and on several, stopped at every change: one ship or none |
| T11 | lives of a ship as Hypothesis draws them: kills, lost answers and state, strangers; judged after every step |
| C1, C2, C3 | SIGKILL of the local cloud itself: at any moment, at every step of its work and of a machine's life |
| rotation | the client is killed at every step of it, the script on the droplet at every line, the power lost there |
| impostors | somebody else on the droplet's address, with no key that fits or a wrong one, hears nothing |
| mutants | a rule is broken on purpose, and a campaign notices |

`make test` runs each of them in part, `make soak` in full: hours, which can be broken off and go on where they were;
`make soak ONLY="http lives"` runs those files alone, and `CLOUDSHIP_LIVES=20000` before it makes T11 as long as a
night and a day of two cores, instead of 400 lives.

## Figures

Of the last run of each that passed, on {cores} cores.

| campaign | cases | points | run |
| --- | ---: | ---: | --- |
{rows}

## Found and mended on the way

{found} things so far:

{mended}
"""


@dataclass
class Run:
    """One file of campaigns, and how it went."""

    when: str  # a date
    whole: bool  # in full, or in the size of `make test`
    code: str  # with which it ran
    seconds: float | None
    campaigns: dict[str, tuple[int, int]]  # cases and points

    @property
    def told(self) -> str:
        """Say when and how it was run."""
        return f"{self.when} {'in full' if self.whole else 'by `make test`'}"


def main() -> int:
    """Run what is asked for, and write each as it passes."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("words", nargs="*", metavar="WORD")
    asked.add_argument("--report", type=Path, metavar="FILE")
    given = asked.parse_args()
    runs, code = _kept(), _code()
    if given.report:
        for file, lines in _by_file(given.report.read_text(encoding="utf-8")).items():
            if not (file in runs and runs[file].whole and runs[file].code == code):
                runs[file] = Run(_today(), whole=False, code=code, seconds=None, campaigns=_figures(lines))
        _keep(runs)
        return 0
    failed = [file for file in _files(given.words) if not _passed(file, runs, code)]
    if failed:
        _say(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def _passed(file: str, runs: dict[str, Run], code: str) -> bool:
    """Run a file of campaigns in full, unless it passed already, and keep its figures; those of one that failed go."""
    if file in runs and runs[file].whole and runs[file].code == code:
        _say(f"{file}: passed on {runs[file].told}")
        return True
    with TemporaryDirectory() as folder:
        report, began = Path(folder) / "report.jsonl", time.monotonic()
        report.touch()
        words = [sys.executable, "-m", "pytest", "-q", *(() if "booted" in file else ("-n", "2")), file]
        env = {**os.environ, "CLOUDSHIP_SOAK": "1", "CAMPAIGN_REPORT": str(report)}
        done = subprocess.run(words, cwd=ROOT, env=env, check=False)
        runs.pop(file, None)
        lines = _by_file(report.read_text(encoding="utf-8")).get(file, [])
    if done.returncode == 0 and lines:
        seconds, campaigns = time.monotonic() - began, _figures(lines)
        runs[file] = Run(_today(), whole=True, code=code, seconds=seconds, campaigns=campaigns)
        _say(f"{file}: {sum(cases for cases, _ in campaigns.values())} cases in {seconds:.0f} s")
    _keep(runs)
    return done.returncode == 0


def _files(words: list[str]) -> list[str]:
    places = [path for pattern in (*WITHOUT_MACHINES, *ON_MACHINES) for path in sorted(ROOT.glob(pattern))]
    files = [str(path.relative_to(ROOT)) for path in places if "record(" in path.read_text(encoding="utf-8")]
    stems = {Path(file).stem: file for file in files}
    meant = [_meant(word, stems) for word in words]
    return [file for stem, file in stems.items() if not words or any(stem in some for some in meant)]


def _meant(word: str, stems: Iterable[str]) -> list[str]:
    """Name the file that is called so, or else those that have the word in their names."""
    return [f"test_{word}"] if f"test_{word}" in stems else [stem for stem in stems if word in stem]


def _code() -> str:
    """Compute what a result is of."""
    listed = subprocess.run(["git", "ls-files", "-z", *CODE], cwd=ROOT, check=True, capture_output=True, text=True)
    digest = hashlib.sha256()
    for name in filter(None, listed.stdout.split("\0")):
        digest.update(name.encode() + b"\0" + (ROOT / name).read_bytes())
    return digest.hexdigest()[:16]


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def _today() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%d")


def _by_file(report: str) -> dict[str, list[dict[str, object]]]:
    found: defaultdict[str, list[dict[str, object]]] = defaultdict(list)
    for line in report.splitlines():
        told = json.loads(line)
        found[told["file"]].append(told)
    return dict(found)


def _figures(lines: list[dict[str, object]]) -> dict[str, tuple[int, int]]:
    cases: defaultdict[str, int] = defaultdict(int)
    points: defaultdict[str, int] = defaultdict(int)
    for told in lines:
        cases[str(told["campaign"])] += int(str(told["cases"]))
        points[str(told["campaign"])] += int(str(told["points"]))
    return {name: (cases[name], points[name]) for name in sorted(cases)}


def _kept() -> dict[str, Run]:
    if not FIGURES.exists():
        return {}
    return {file: Run(**told) for file, told in json.loads(FIGURES.read_text(encoding="utf-8")).items()}


def _keep(runs: dict[str, Run]) -> None:
    """Write the figures, and the page."""
    told = {file: asdict(runs[file]) for file in sorted(runs)}
    FIGURES.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(runs), encoding="utf-8")


def page(runs: dict[str, Run]) -> str:
    """Write the page."""
    found: defaultdict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for run in runs.values():
        for name, figures in run.campaigns.items():
            found[name, run.told].append(figures)
    sums = {named: [sum(column) for column in zip(*figures, strict=True)] for named, figures in sorted(found.items())}
    rows = [f"| {name} | {cases} | {points} | {told} |" for (name, told), (cases, points) in sums.items()]
    rows.append(f"| all | {sum(cases for cases, _ in sums.values())} | | |")
    mended = "\n".join(f"- {one}." for one in MENDED)
    return TEXT.format(cores=len(os.sched_getaffinity(0)), rows="\n".join(rows), found=len(MENDED), mended=mended)


if __name__ == "__main__":
    sys.exit(main())
