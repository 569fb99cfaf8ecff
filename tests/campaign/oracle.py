"""The judgement after a case: a process that has seen nothing takes the ship down, and nothing of it is left."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from campaign import case
from campaign.case import Ended
from campaign.cloudbox import SHIP, CloudBox

CANARY = "canary-7d1f09-value"
FILE_CANARY = "canary-7d1f09-file"  # of a value that comes in a file
REPOSITORY_PASSWORD = "canary-7d1f09-repository"  # noqa: S105  as of whoever fetches the source


def judge(box: CloudBox, place: Path, ended: Ended, ship: str = SHIP) -> list[str]:
    """
    Say what is wrong after a case; empty when all is well.

    Args:
        box: the cloud, whose faults are cleared first.
        place: the case's own folder.
        ended: how the command ended.
        ship: which one it was about.
    """
    box.knobs.clear_faults()
    secrets = _secrets(box, place)  # now, since `down` takes away the keys that are among them
    wrong = [f"a library's traceback was shown: {ended.output[-600:]}"] if "Traceback (most" in ended.output else []
    wrong += _leaked(secrets, box, place, ended)
    down = case.run(["down", ship, "--cloud", "local"], box.knobs, case.environment(place), lambda _point: None)
    if down.status != 0:
        wrong.append(f"down ended with {down.status}: {down.output[-600:]}")
    wrong += difference(box)
    keys = list((place / "state").rglob("id_ed25519"))
    if keys:
        wrong.append(f"keys are left on this machine: {keys}")
    wrong += _leaked(secrets, box, place, down)
    wrong += _shown(secrets, {"a request": str(box.knobs.requests())})
    box.knobs.clear_requests()
    shutil.rmtree(case.temporary(place), ignore_errors=True)  # of those that were killed
    if wrong:
        box.clean()
    return wrong


def difference(box: CloudBox) -> list[str]:
    """Compare the account with what it was."""
    now, wrong = box.account(), []
    for kind in ("droplets", "keys", "tags"):
        before, after = getattr(box.baseline, kind), getattr(now, kind)
        if before - after:
            wrong.append(f"foreign {kind} were touched: {sorted(map(str, before - after))}")
        if after - before:
            wrong.append(f"{kind} leaked: {sorted(map(str, after - before))}")
    return wrong


def _user_data(box: CloudBox) -> dict[int, str]:
    """Read the user-data of all droplets as the cloud keeps it; the temporary host key in it is the one exception."""
    with closing(sqlite3.connect(f"file:{box.directory / 'account.sqlite'}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT id, asked FROM droplets").fetchall()
    return {number: asked.replace("PRIVATE KEY", "") for number, asked in rows}


def _bodies(place: Path) -> list[str]:
    """Give the lines of the keys that log in that are in no other key; a file that was spoiled may hold none."""
    keys = [path for path in (place / "state").rglob("id_ed25519") if path.is_file()]
    found = [line for path in keys for line in path.read_text("utf-8", "replace").splitlines()[3:-1]]
    return [line for line in found if len(line) > 30]


def _secrets(box: CloudBox, place: Path) -> list[tuple[str, str]]:
    """Name what must show nowhere: the token, the app's values, passwords, private keys."""
    known = [
        ("token", box.knobs.token),
        ("value", CANARY),
        ("value in a file", FILE_CANARY),
        ("index's password", case.INDEX_PASSWORD),
        ("repository's password", REPOSITORY_PASSWORD),
        ("private key", "PRIVATE KEY"),
    ]
    return known + [("launch's own key", line) for line in _bodies(place)]


def _leaked(secrets: list[tuple[str, str]], box: CloudBox, place: Path, ended: Ended) -> list[str]:
    """Look where secrets could show: files, user-data, what was said, the words of programs; and what TMPDIR keeps."""
    folders = (place / "state", case.temporary(place))
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file() and path.name != "id_ed25519"]
    texts = {path.name: path.read_text("utf-8", "replace") for path in files}
    texts |= {f"user-data {number}": text for number, text in _user_data(box).items()}
    texts |= {"the output": ended.output, "the words of a program": ended.words}
    return _shown(secrets, texts) + [f"{name} is left in TMPDIR" for name in ended.left]


def _shown(secrets: list[tuple[str, str]], texts: dict[str, str]) -> list[str]:
    return [f"the {name} is in {where}" for name, secret in secrets for where, text in texts.items() if secret in text]
