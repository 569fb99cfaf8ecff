"""A git that somebody has set up to run a program of theirs wherever it can, and to look elsewhere."""

from __future__ import annotations

import subprocess
from pathlib import Path


def hostile(place: Path) -> None:
    """Have git run a program in every way that a user's configuration knows, and look elsewhere."""
    (place / "hooks").mkdir(exist_ok=True)
    program = place / "hooks" / "program"
    program.write_text(f"#!/bin/sh\ntouch {place}/ran\nexit 1\n")
    program.chmod(0o700)
    for name in ("pre-push", "post-checkout", "reference-transaction", "post-index-change"):
        (place / "hooks" / name).symlink_to(program)
    (place / "attributes").write_text("* filter=hostile diff=hostile merge=hostile ident\n")
    (place / ".gitconfig").write_text(
        f"""[core]
    hooksPath = {place}/hooks
    fsmonitor = {program}
    sshCommand = {program}
    pager = {program}
    editor = {program}
    attributesFile = {place}/attributes
    autocrlf = true
    quotePath = false
[filter "hostile"]
    clean = {program}
    smudge = {program}
    process = {program}
    required = true
[diff "hostile"]
    textconv = {program}
    command = {program}
[diff]
    external = {program}
[credential]
    helper = !{program}
[gpg]
    program = {program}
[commit]
    gpgSign = true
[tag]
    gpgSign = true
[init]
    templateDir = {place}/hooks
[alias]
    ls-files = !{program}
    rev-parse = !{program}
[url "ext::{program} "]
    insteadOf = ssh://
[protocol "ext"]
    allow = always
[extensions]
    objectFormat = sha256
"""
    )


def hollow(folder: Path, command: str) -> None:
    """Have a repository lack its newest commit, and fetch what it lacks by a command of its own configuration."""
    words = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    name = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    (folder / ".git" / "objects" / name[:2] / name[2:]).unlink()
    with (folder / ".git" / "config").open("a") as config:
        config.write(
            f"""[core]
    repositoryFormatVersion = 1
[extensions]
    partialClone = origin
[remote "origin"]
    promisor = true
    url = {folder}
    uploadpack = "{command}; false"
"""
        )


VARIABLES = {
    "GIT_DIR": "@/nowhere",
    "GIT_WORK_TREE": "@/nowhere",
    "GIT_INDEX_FILE": "@/nowhere/index",
    "GIT_OBJECT_DIRECTORY": "@/nowhere/objects",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES": "@/nowhere",
    "GIT_NAMESPACE": "elsewhere",
    "GIT_EXTERNAL_DIFF": "@/hooks/program",
    "GIT_PAGER": "@/hooks/program",
    "GIT_EDITOR": "@/hooks/program",
    "GIT_TEMPLATE_DIR": "@/hooks",
    "GIT_TRACE": "@/trace",
    "GIT_TRACE_CURL": "@/trace",
    "GIT_ATTR_SOURCE": "HEAD",
    "GIT_DEFAULT_HASH": "sha256",
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "core.fsmonitor",
    "GIT_CONFIG_VALUE_0": "@/hooks/program",
    "GIT_CONFIG_KEY_1": "core.hooksPath",
    "GIT_CONFIG_VALUE_1": "@/hooks",
    "GIT_CONFIG_PARAMETERS": "'core.fsmonitor'='@/hooks/program'",
}
