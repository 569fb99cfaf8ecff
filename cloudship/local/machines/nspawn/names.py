"""Names on the host, derived from the local cloud's directory so that two local clouds never meet."""

from __future__ import annotations

import hashlib
import string
from dataclasses import dataclass
from pathlib import Path

_DIGITS = string.digits + string.ascii_lowercase


@dataclass(frozen=True)
class Names:
    """What this local cloud calls its things on the host."""

    mark: str  # six letters that stand for the directory

    @classmethod
    def of(cls, directory: Path) -> Names:
        """Derive the names from the directory's absolute path."""
        return cls(hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:6])

    @property
    def bridge(self) -> str:
        """The bridge; interface names have at most 15 letters."""
        return f"cs-{self.mark}"

    @property
    def table(self) -> str:
        """The nftables table."""
        return f"cloudship_{self.mark}"

    def machine(self, droplet_id: int) -> str:
        """The machine, its control group and its network namespace."""
        return f"cs-{self.mark}-{droplet_id}"

    def droplet_id(self, machine: str) -> int | None:
        """Read the droplet's id back from a machine's name; None when it is not one of ours."""
        prefix = f"cs-{self.mark}-"
        number = machine.removeprefix(prefix)
        return int(number) if machine.startswith(prefix) and number.isdigit() else None

    def link(self, droplet_id: int) -> str:
        """The host's end of a machine's cable."""
        return f"cs{self.mark}{_base36(droplet_id)}"[:15]


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, len(_DIGITS))
        digits = _DIGITS[rest] + digits
    return digits or "0"
