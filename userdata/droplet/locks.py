"""
Lock files of other tools, honoured exactly: the tool that wrote one says what it holds, uv installs just that.

The tool comes from the package index for that moment, in an environment of its own. Only packages with the hashes in
the lock are installed, and nothing beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Tuple


@dataclass(frozen=True)
class Tool:
    """Who reads a lock file, and how."""

    packages: Tuple[str, ...]  # the first one brings the command
    commands: Tuple[Tuple[str, ...], ...]  # the output of the last one are the requirements
    beside: str  # the file that the lock belongs to

    def words(self, command: Tuple[str, ...], python: str) -> Tuple[str, ...]:
        """Give uv's words that run one of its commands."""
        first, *more = self.packages
        extra = [part for name in more for part in ("--with", name)]
        return ("tool", "run", "--quiet", "--python", python, "--from", first, *extra, *command)


TOOLS: Dict[str, Tool] = {
    # A lock that no longer fits its pyproject.toml makes the export fail, which is what `exactly` asks for.
    "poetry.lock": Tool(
        ("poetry", "poetry-plugin-export"),
        (("poetry", "export", "--no-interaction", "--format=requirements.txt", "--with-credentials"),),
        "pyproject.toml",
    ),
    "Pipfile.lock": Tool(
        ("pipenv",),
        (("pipenv", "verify"), ("pipenv", "requirements", "--hash", "--exclude-index")),
        "Pipfile",
    ),
}
