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

from droplet import bootstrap, command, environment, hook, journal, layout, process, release, unit

BOOT_LIMIT = 1800.0  # seconds that a follower of the first boot stays


def main(words: List[str]) -> int:
    """Carry out a verb, and give the exit status: 0 done, 1 failed, 2 wrong use."""
    verbs: Dict[str, Callable[[List[str]], int]] = {
        "boot": _boot,
        "boot-log": _boot_log,
        "env-set": _env_set,
        "settings-set": _settings_set,
        "prepare": _prepare,
        "hook": _hook,
        "release-log": _release_log,
        "run": _run,
        "logs": _logs,
        "status": _status,
        "launch": _launch,
        "start-live": _start_live,
    }
    if not words or words[0] not in verbs:
        sys.stderr.write(f"verbs: {' '.join(sorted(verbs))}\n")
        return 2
    return verbs[words[0]](words[1:])


def _boot(words: List[str]) -> int:
    del words
    return bootstrap.run(layout.read_config())


def _boot_log(words: List[str]) -> int:
    events = (
        journal.follow(bootstrap.JOURNAL, bootstrap.LAST, limit=BOOT_LIMIT)
        if "--follow" in words
        else iter(journal.read(bootstrap.JOURNAL))
    )
    failed = False
    for event in events:
        journal.as_json(event)
        failed = event["stage"] == bootstrap.LAST and event["state"] == journal.FAILED
    return 1 if failed else 0


def _env_set(words: List[str]) -> int:
    del words
    values = {str(key): str(value) for key, value in json.load(sys.stdin).items()}
    layout.replace_text(layout.ENVIRONMENT, json.dumps(values), 0o640)
    return 0


def _settings_set(words: List[str]) -> int:
    del words
    layout.write_settings(json.load(sys.stdin))
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
                environment.make(wanted, Path(folder), where, say)
        except journal.StageError as error:
            for line in error.lines:
                told.tell("prepare", journal.OUTPUT, line)
            return 1
    return 0


def _await(path: Path) -> None:
    deadline = time.monotonic() + BOOT_LIMIT
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)


def _hook(words: List[str]) -> int:
    """Release what is pushed; whatever is not 0 rejects the push."""
    del words
    try:
        number = release.run(layout.read_config(), hook.commit(sys.stdin))
    except hook.RefusedError as error:
        print(f"cloudship: {error}")
        return 1
    except journal.StageError as error:
        for line in error.lines:
            print(f"  | {line}")
        print(f"cloudship: release failed: {error}", flush=True)
        return 1
    print(f"cloudship: release {number} is live", flush=True)
    return 0


def _release_log(words: List[str]) -> int:
    where = layout.read_config().layout
    number = int(words[0]) if words and words[0].isdigit() else max(where.numbers(), default=0)
    for event in journal.read(where.release(number) / "log.jsonl"):
        journal.as_json(event)
    return 0


def _run(words: List[str]) -> int:
    """Become a command in the live release, as the app's user unless root is asked for."""
    root = words[:1] == ["--root"]
    rest = words[1:] if root else words
    rest = rest[1:] if rest[:1] == ["--"] else rest
    where = layout.read_config().layout
    number = where.live()
    if number is None or not rest:
        sys.stderr.write("no release is live yet\n" if rest else "run WHAT?\n")
        return 2
    folder = where.release(number)
    started = process.Process.load(folder) if (folder / process.FILE).exists() else None
    if started is not None:
        os.chdir(started.directory)
        env = process.whole_environment(folder, started)
        env["PATH"] += ":/usr/sbin:/sbin" if root else ""
    else:
        os.chdir(str(folder / "tree"))
        env = dict(os.environ)
    whole = [*([] if root else command.as_user(layout.USER)), *rest]
    os.execvpe(whole[0], whole, {**env, "TERM": os.environ.get("TERM", "dumb")})
    return 1


def _logs(words: List[str]) -> int:
    where = layout.read_config().layout
    number = where.live() or max(where.numbers(), default=0)
    options = [word for word in words if word.startswith("-") or word.isdigit()]
    os.execvp("journalctl", ["journalctl", "-q", "-o", "cat", *options, "-u", unit.name(number)])


def _status(words: List[str]) -> int:
    del words
    where = layout.read_config().layout
    events = journal.read(bootstrap.JOURNAL)
    last = [event for event in events if event["stage"] == bootstrap.LAST]
    stages = {event["stage"]: event["seconds"] for event in events if event["state"] == journal.DONE}
    live, marks = where.live(), release.completed(where)
    death = unit.death(live) if live is not None and marks.get(live, {}).get("kind") != "static" else None
    told = {
        "bootstrap": {"state": last[-1]["state"] if last else "running", "stages": stages},
        "release": live,
        "releases": [{"number": number, **marks[number]} for number in sorted(marks)],
        "app": {key: marks.get(live or 0, {}).get(key) for key in ("kind", "why")},
        "process": death or ("running" if live is not None else "none"),
    }
    print(json.dumps(told))
    return 0


def _launch(words: List[str]) -> int:
    process.launch(layout.read_config().layout, int(words[0]))
    return 1


def _start_live(words: List[str]) -> int:
    """Start what the link names, after a reboot."""
    del words
    where = layout.read_config().layout
    number = where.live()
    if number is None or not (where.release(number) / process.FILE).exists():
        return 0
    unit.start(number, process.Process.load(where.release(number)).port, where.release(number))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
