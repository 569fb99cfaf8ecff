"""The stand-in for a droplet carries a ship through its life, so that campaigns may break any part of it."""

from __future__ import annotations

import json
from pathlib import Path

from campaign import oracle
from campaign.cloudbox import SHIP
from campaign.conftest import Field
from cloudship.keys import LaunchFiles, mint


def test_releases_on_a_droplet_that_never_booted(ground: Field) -> None:
    """Deploys are numbered, the one before comes back, values make a release, and all of it goes with the ship."""
    place = ground.place()
    assert ground.up(place).status == 0
    for number in (2, 3):
        deployed = ground.run(["deploy", SHIP, str(ground.app), "--json"], place)
        assert deployed.status == 0, deployed.output
        assert f'"release": {number}' in deployed.output
    assert ground.run(["rollback", SHIP], place).status == 0
    assert ground.run(["env", SHIP, "set", "COLOUR=green"], place).status == 0
    listed = ground.run(["releases", SHIP, "--json"], place)
    told = json.loads(listed.output.partition("\n")[2])
    assert [(4, "live"), (3, "kept"), (2, "kept"), (1, "kept")] == [(one["number"], one["state"]) for one in told]
    assert [] == oracle.judge(ground.box, place, ground.down(place))


def test_nobody_deploys_to_a_droplet_that_is_gone(ground: Field) -> None:
    """The error names the ship, and nothing is sent."""
    place = ground.place()
    ended = ground.run(["deploy", SHIP, str(ground.app)], place)
    assert ended.status == 1
    assert f"There is no ship '{SHIP}'" in ended.output
    assert [] == oracle.judge(ground.box, place, ended)


def test_the_oracle_knows_a_key_by_lines_that_no_other_has(tmp_path: Path) -> None:
    """What all keys share would be found in the temporary host key, which may stand in user-data."""
    for name in ("one", "other"):
        files = LaunchFiles(tmp_path / name / "state" / "ships", "0123456789")
        files.save_identity(mint(name))
    mine, theirs = (set(oracle._bodies(tmp_path / name)) for name in ("one", "other"))
    assert (True, set()) == (len(mine) > 0, mine & theirs)
