"""The units and nginx's files as they are rendered, read by systemd and by a parser of nginx's own language."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import crossplane
import pytest

from cloudship import render
from cloudship.render import BootSpec

SYSTEMD = Path("/usr/lib/systemd/system")
NEEDS_SYSTEMD = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
UNITS = [
    *sorted(path.name.removesuffix(".j2") for path in (render.userdata_folder() / "systemd").glob("cloudship*")),
    "user.slice",
]
STARTED = (
    "bin/sh",
    "usr/bin/python3",
    "usr/local/sbin/cloudship-droplet",
    "usr/bin/systemctl",
    "usr/lib/systemd/systemd-socket-proxyd",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A droplet's file system, as far as its units look at it."""
    place = tmp_path_factory.mktemp("root")
    for path, text in render.files(BootSpec(name="web", domains=("shop.example", "*.shop.example"))).items():
        file = place / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for name in STARTED:
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
    (place / "lib").symlink_to("usr/lib")
    (place / "usr/lib/systemd/system").mkdir(parents=True)
    for one in (*SYSTEMD.glob("*.target"), *SYSTEMD.glob("*.slice")):
        shutil.copy(one, place / "usr/lib/systemd/system")
    return place


def _instance(unit: str) -> str:
    return unit.replace("@.", "@1.")


def _analyzed(*words: str) -> tuple[int, str]:
    done = subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@NEEDS_SYSTEMD
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_has_nothing_to_say_of_a_unit(root: Path, unit: str) -> None:
    """No unknown key, no program that is not there."""
    assert (0, "") == _analyzed("verify", f"--root={root}", "--man=no", _instance(unit))


@NEEDS_SYSTEMD
def test_systemd_would_have_something_to_say_of_a_broken_unit(root: Path) -> None:
    """The check above can fail."""
    (root / "etc/systemd/system/broken.service").write_text("[Service]\nExecStart=/no/such\nPrivateTmmp=yes\n")
    status, said = _analyzed("verify", f"--root={root}", "--man=no", "broken.service")
    assert (True, True) == (status != 0, "PrivateTmmp" in said)


@pytest.mark.parametrize("path", ["cloudship.slice", "user.slice.d/cloudship.conf"])
def test_builds_and_logins_stand_back_behind_the_services(root: Path, path: str) -> None:
    """A fifth of the services' own hundred; what lies below another slice would be weighed by that one's."""
    lines = (root / "etc/systemd/system" / path).read_text().splitlines()
    assert {"CPUWeight=20", "IOWeight=20"} == {line for line in lines if "Weight=" in line}
    assert "-" not in path.partition(".")[0]


@NEEDS_SYSTEMD
@pytest.mark.parametrize("kind", ["app", "worker", "job", "proxy"])
def test_what_runs_the_apps_code_is_well_confined(root: Path, kind: str) -> None:
    """`systemd-analyze security` rates its exposure below 4, and says so by its status."""
    file = root / f"etc/systemd/system/cloudship-{kind}@.service"
    status, said = _analyzed("security", "--offline=yes", "--no-pager", "--threshold=39", str(file))
    rating = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert rating, said
    assert (0, True) == (status, float(rating.group(1)) < 4)


@pytest.mark.parametrize("kind", ["app", "static"])
def test_nginx_understands_its_files(root: Path, tmp_path: Path, kind: str) -> None:
    """Every directive is known, in its place, with as many words as it takes."""
    site = root / f"opt/cloudship/nginx/{kind}.conf"
    (tmp_path / "nginx.conf").write_text(f"events {{}}\nhttp {{ include {site}; }}\n")
    told = crossplane.parse(str(tmp_path / "nginx.conf"), strict=True, check_args=True, check_ctx=True)
    plain = crossplane.parse(str(tmp_path / "nginx.conf"))["config"][1]["parsed"]
    of_maps = {entry["line"] for one in plain if one["directive"] == "map" for entry in one["block"]}
    # The parser takes the lines of a map, which are values and not directives, for directives.
    assert [] == [error for error in told["errors"] if error["line"] not in of_maps]
    server = next(one for one in plain if one["directive"] == "server")
    names = next(one["args"] for one in server["block"] if one["directive"] == "server_name")
    assert ["_", "shop.example", "*.shop.example"] == names


def test_nginx_would_not_understand_a_broken_file(tmp_path: Path) -> None:
    """The check above can fail."""
    (tmp_path / "nginx.conf").write_text("events {}\nhttp { server { proxy_passs http://x; } }\n")
    assert "failed" == crossplane.parse(str(tmp_path / "nginx.conf"), strict=True)["status"]
