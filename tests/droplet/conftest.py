"""The droplet's own package, importable as it is there."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "userdata"))
