"""
Speed, as ratios against something run beside it, written to `docs/speed.md`; the first of them to README.md too.

`up` cold means: the root file system is built, the local cloud runs, nothing else is warm. Runs alternate, so
that a noisy neighbour disturbs both sides alike; medians are compared.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import releases
from handmade import seconds as handmade

ROOT = Path(__file__).parent.parent
RUNS = 5
BOX = 4.8  # seconds that the script by hand took on the machine for which the bars were set


def main() -> None:
    """Measure, and write the page."""
    scripts, ships, phases, memory = [], [], [], []
    with tempfile.TemporaryDirectory(prefix="cloudship-bench-") as place:
        for run in range(RUNS):
            scripts.append(handmade(Path(place) / "handmade"))
            taken, told, peak = _up()
            ships.append(taken)
            phases.append(told)
            memory.append(peak)
            print(f"run {run + 1}: by hand {scripts[-1]:.2f} s, cloudship up {taken:.2f} s", flush=True)
        deployed = releases.measure(Path(place))
    subprocess.run([sys.executable, "-m", "cloudship", "local", "stop"], check=True, capture_output=True)
    _write(scripts, ships, phases, memory, releases.lines(deployed))


def _up() -> tuple[float, dict[str, float], float]:
    """Run the command as a person does; seconds, seconds per phase, peak memory in MB."""
    import json
    import resource

    command = [sys.executable, "-m", "cloudship"]
    subprocess.run([*command, "local", "start"], check=True, capture_output=True)
    began = time.monotonic()
    done = subprocess.run(
        [*command, "up", str(ROOT / "examples/flask-hello"), "--name", "bench", "--cloud", "local", "--json"],
        check=True,
        capture_output=True,
        text=True,
    )
    taken = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    subprocess.run([*command, "down", "bench", "--cloud", "local"], check=True, capture_output=True)
    return taken, {one["name"]: one["seconds"] for one in json.loads(done.stdout)["phases"]}, peak


def _interpreter(*words: str) -> float:
    times = []
    for _ in range(11):
        began = time.monotonic()
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        times.append(time.monotonic() - began)
    return statistics.median(times)


def _write(
    scripts: list[float], ships: list[float], phases: list[dict[str, float]], memory: list[float], more: list[str]
) -> None:
    by_hand, ours = statistics.median(scripts), statistics.median(ships)
    bare = _interpreter("-c", "pass")
    usage = _interpreter("-m", "cloudship", "--help") - bare
    loading = _interpreter("-c", "import cloudship") - bare
    named = {name: statistics.median(one[name] for one in phases) for name in phases[0]}
    lines = [
        "# Speed",
        "",
        f"Written by `make bench`; medians of {RUNS} alternating runs on one machine. The yardstick is",
        "`bench/handmade.py`: the fastest script by hand for the same machine, which verifies nothing.",
        f"The bars in seconds are meant for a machine on which it takes {BOX} s; here it took {by_hand:.1f} s.",
        "",
        "| what | measured | bar |",
        "| --- | --- | --- |",
        f"| `up` cold, against the hand-made script | {ours:.1f} s / {by_hand:.1f} s = {ours / by_hand:.2f} | 1.5 |",
        f"| `cloudship --help`, over a bare interpreter | {usage:.2f} s | 0.3 s |",
        f"| `import cloudship`, over a bare interpreter | {loading:.2f} s | 0.1 s |",
        f"| peak memory of the client during `up` | {max(memory):.0f} MB | 150 MB |",
        "",
        "| phase | seconds |",
        "| --- | --- |",
        *(f"| {name} | {taken:.2f} |" for name, taken in named.items()),
        "",
        *more,
    ]
    (ROOT / "docs" / "speed.md").write_text("\n".join(lines), encoding="utf-8")
    readme = ROOT / "README.md"
    told = re.sub(r"(?<=<!-- speed --> )[\d.]+", f"{ours / by_hand:.2f}", readme.read_text(encoding="utf-8"))
    readme.write_text(told, encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
