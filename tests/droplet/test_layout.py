"""The droplet's own configuration, as the client changes it."""

from __future__ import annotations

import json
from pathlib import Path

from droplet import layout


def test_keys_from_outside_are_replaced_and_the_ones_before_are_told(tmp_path: Path) -> None:
    """So that a client can put them back when the release that was to have them fails."""
    path = tmp_path / "droplet.json"
    path.write_text(json.dumps({"name": "web"}))
    assert {} == layout.write_settings({"build": "make"}, path)
    assert {"build": "make"} == layout.write_settings({"app": "x:y"}, path)
    assert {"name": "web", "settings": {"app": "x:y"}} == json.loads(path.read_text())
