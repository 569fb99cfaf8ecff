"""Words of which one is chosen from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudship import fleet, launch
from cloudship.choices import choice
from cloudship.errors import ConfigError
from cloudship.models import Cloud


def test_a_choice_is_the_word_or_its_text() -> None:
    """Both are the same."""
    assert [Cloud.LOCAL, Cloud.LOCAL] == [choice(Cloud, Cloud.LOCAL, "cloud"), choice(Cloud, "local", "cloud")]


@pytest.mark.parametrize("given", [{"cloud": "locale"}, {"on_failure": "kep"}, {"cloud": ""}, {"on_failure": None}])
def test_a_launch_with_a_word_that_is_none_begins_nothing(tmp_path: Path, given: dict[str, Any]) -> None:
    """It is refused before anything is read, with the words that there are."""
    with pytest.raises(ConfigError, match=r"there are: (local, digitalocean|destroy, keep)$"):
        launch.up(tmp_path, **given)


def test_a_cloud_that_there_is_not_is_refused_by_all() -> None:
    """Also where ships are looked for."""
    for act in (
        lambda: fleet.ships(cloud="x"),
        lambda: fleet.get("web", cloud="x"),
        lambda: fleet.down("web", cloud="x"),
    ):
        with pytest.raises(ConfigError, match="There is no cloud 'x'"):
            act()
