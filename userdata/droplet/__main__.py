"""The verbs, called over SSH by the client, by units, and by the repository's hook."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, List

from droplet import bootstrap, changing, environment, expiry, firstboot, inside, journal, layout, releasing


def main(words: List[str]) -> int:
    """Carry out a verb, and give the exit status: 0 done, 1 failed, 2 wrong use."""
    verbs: Dict[str, Callable[[List[str]], int]] = {
        "boot": _boot,
        "boot-log": _boot_log,
        "env-set": _env_set,
        "settings-set": _settings_set,
        "prepare": _prepare,
        "expire": expiry.expire,
        **inside.VERBS,
        **releasing.VERBS,
    }
    if not words or words[0] not in verbs:
        sys.stderr.write(f"verbs: {' '.join(sorted(verbs))}\n")
        return 2
    return verbs[words[0]](words[1:])


def _boot(words: List[str]) -> int:
    del words
    return bootstrap.run(layout.read_config())


def _boot_log(words: List[str]) -> int:
    events = firstboot.follow() if "--follow" in words else iter(journal.read(firstboot.JOURNAL))
    failed = False
    for event in events:
        journal.as_json(event)
        failed = event["stage"] == firstboot.LAST and event["state"] == journal.FAILED
    return 1 if failed else 0


def _env_set(words: List[str]) -> int:
    del words
    values = {str(key): str(value) for key, value in json.load(sys.stdin).items()}
    layout.replace_text(layout.ENVIRONMENT, json.dumps(values), 0o640)
    return 0


def _settings_set(words: List[str]) -> int:
    del words
    print(json.dumps(layout.write_settings(json.load(sys.stdin))))
    return 0


def _prepare(words: List[str]) -> int:
    """Make the Python environment early, from a tar of the files that it depends on and what is wanted."""
    del words
    where = layout.read_config().layout
    told = journal.Journal(None, journal.as_json)
    _await(where.home / "cache")
    with tempfile.TemporaryDirectory(dir=str(where.home)) as folder:
        with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
            archive.extractall(folder)  # noqa: S202  it comes from whoever owns this droplet
        os.chmod(folder, 0o755)  # noqa: S103  the app's user reads in it
        wanted = environment.Wanted.read(json.loads(Path(folder, "wanted.json").read_text(encoding="utf-8")))
        shutil.chown(folder, layout.USER, layout.USER)
        try:
            with told.stage("prepare") as say:
                environment.make(wanted, Path(folder), where, changing.stored(), say)
        except journal.StageError as error:
            for line in error.lines:
                told.tell("prepare", journal.OUTPUT, line)
            return 1
    return 0


def _await(path: Path) -> None:
    deadline = time.monotonic() + firstboot.LIMIT
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
