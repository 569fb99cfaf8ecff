"""
Becoming a process of a release: what every unit starts, as the app's user.

It runs by itself, without the rest of the program and without `site`: visitors wait for it.

    launch.py HOME web NUMBER | worker NUMBER-NAME-INDEX | job NAME
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Dict, List

PLAN, SECRETS = "process.json", "env.json"
BUILT_IN = ("exec", "cd", ".", "set", "export", "eval", ":", "exit", "trap", "umask", "ulimit", "unset", "read", "wait")
DJANGO, WRAPPED = "DJANGO_SETTINGS_MODULE", "CLOUDSHIP_DJANGO_SETTINGS"
OURS = ("CLOUDSHIP_SOCKET", "CLOUDSHIP_RELEASE", "CLOUDSHIP_PROCESS", "PORT")  # they name the place; they stay ours


def read(path: str) -> Dict[str, Any]:
    """Read a JSON file."""
    with open(path, encoding="utf-8") as file:
        return dict(json.load(file))


def environment(ours: Dict[str, str], secrets: Dict[str, str]) -> Dict[str, str]:
    """Lay the app's own values over what every process sees."""
    whole = {**ours, **secrets, **{name: ours[name] for name in OURS if name in ours}}
    if WRAPPED in ours and DJANGO in secrets:  # settings that the app names are wrapped like those that were found
        whole.update({DJANGO: ours[DJANGO], WRAPPED: secrets[DJANGO]})
    return whole


def shell(line: str) -> List[str]:
    """Give the words that run a line of a Procfile; a plain command replaces the shell, so that signals reach it."""
    words = line.split()
    plain = not set(line) & set(";&|<>(){}`\n#!") and words[0] not in BUILT_IN
    if not plain:
        return ["/bin/sh", "-c", line]
    return ["/bin/sh", "-c", ("exec env " if "=" in words[0].split("/")[0] else "exec ") + line]


def main(home: str, kind: str, instance: str) -> int:
    """Become the process; comes back only where there is nothing to become."""
    number, _, rest = instance.partition("-")
    if kind == "job":
        number, rest = os.path.basename(os.path.realpath(f"{home}/current")), instance
    folder = f"{home}/releases/{number}"
    plan = read(f"{folder}/{PLAN}")
    ours = dict(plan["environment"])
    if kind == "web":
        words = plan["web"]
        if plan["port"] is None and os.path.lexists(ours["CLOUDSHIP_SOCKET"]):
            os.unlink(ours["CLOUDSHIP_SOCKET"])
    elif kind == "worker":
        name, _, index = rest.rpartition("-")
        words = ["systemd-cat", "-t", f"app-{name}", *shell(plan["lines"][name])]
        ours["CLOUDSHIP_PROCESS"] = f"{name}.{index}"
    elif rest not in plan["jobs"]:  # the switch came between the timer and us
        return 0
    else:
        words = shell(plan["jobs"][rest]["run"])
        ours["CLOUDSHIP_PROCESS"] = rest
    os.chdir(plan["directory"])
    whole = environment(ours, read(f"{folder}/{SECRETS}"))
    raw = {name.encode("utf-8"): value.encode("utf-8", "surrogateescape") for name, value in whole.items()}
    os.execvpe(words[0], words, raw)
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
