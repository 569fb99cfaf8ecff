"""T13: hostile texts in every field: refused by the field's name before anything exists, or there byte for byte."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from gitserver import publish
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaign import arrival, case, oracle
from campaign.arrival import Arrived
from campaign.cloudbox import SHIP
from campaign.conftest import SOAK, Field, record, told
from campaign.payloads import PAYLOADS, aimed, toml
from cloudship.appinfo import inspect
from cloudship.errors import CloudshipError

SHARDS, CASES = 8, None if SOAK else 312  # of which a few cannot even be written down
DRAWN = 10_000 if SOAK else 40
_PIECES = [payload for payload in PAYLOADS if len(payload) < 100]
_TEXTS = st.text() | st.lists(st.sampled_from(_PIECES) | st.text(max_size=4), min_size=2, max_size=4).map("".join)
_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1bXk6Zc1Yb3i1zq8r3n6jP9o8QvC1xq0m1o2n3p4q5"
_SOURCES = ("fetched", "exist", "path", "URL", "branch", "App", "app was found", "empty", "sen", "file", "no commit")


@dataclass(frozen=True)
class Place:
    """Where one case finds its files."""

    folder: Path
    app: Path  # a copy of the app, the case's own

    def config(self, text: str) -> list[str]:
        """Configure from outside."""
        file = self.folder / "outside.toml"
        file.write_text(text, encoding="utf-8")
        return [str(self.app), "--config", str(file)]


@dataclass(frozen=True)
class Target:
    """A field that takes a text."""

    marks: tuple[str, ...]  # one of them names it in a refusal
    words: Callable[[Place, str], list[str] | None]  # of `up`, without --name; None: it cannot even be written there
    arrived: Callable[[Arrived, str], bool]
    good: str  # a text that arrives


def _flag(name: str) -> Callable[[Place, str], list[str] | None]:
    return lambda place, text: [str(place.app), name, text]


def _key(line: str) -> Callable[[Place, str], list[str] | None]:
    def words(place: Place, text: str) -> list[str] | None:
        written = toml(text)
        return None if written is None else place.config(line.format(written))

    return words


def _setting(name: str, *, listed: bool = False) -> Callable[[Arrived, str], bool]:
    return lambda found, text: found.settings.get(name) == ([text] if listed else text)


def _file(name: str, form: str) -> Callable[[Place, str], list[str] | None]:
    def words(place: Place, text: str) -> list[str] | None:
        try:
            (place.app / name).write_bytes(form.format(text).encode("utf-8", "surrogateescape"))
        except UnicodeEncodeError:
            return None
        return [str(place.app)]

    return words


def _in_file(name: str, form: str) -> Callable[[Arrived, str], bool]:
    return lambda found, text: found.files[name] == form.format(text).encode("utf-8", "surrogateescape")


def _public_key(place: Place, text: str) -> list[str] | None:
    try:
        (place.folder / "key.pub").write_text(f"{_KEY} {text}\n", encoding="utf-8")
    except UnicodeEncodeError:
        return None
    return place.config(f"ssh_keys = [{toml(str(place.folder / 'key.pub'))}]")


def _folder(place: Place, text: str) -> list[str] | None:
    try:
        named = place.folder / "sources" / f"a{text}"
        named.parent.mkdir()
        place.app.rename(named)
    except (OSError, ValueError):
        named = place.folder / text
    return [str(named)]


def _file_name(place: Place, text: str) -> list[str] | None:
    try:
        (place.app / f"a{text}").write_text("content")
    except (OSError, ValueError):
        return None
    return [str(place.app)]


def _env_file(place: Place, text: str) -> list[str] | None:
    if "\n" in text:
        return None  # a file of lines has no way to say it
    try:
        (place.folder / "env").write_bytes(f'WORD="{text}"\n'.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return None
    return [str(place.app), "--env-file", str(place.folder / "env")]


def _key_of_value(place: Place, text: str) -> list[str] | None:
    return None if "=" in text else [str(place.app), "--env", f"{text}=value"]


def _repository(url: str) -> Callable[[Place, str], list[str] | None]:
    return lambda place, text: [url.format(place.folder, text)]


def _env(found: Arrived, text: str) -> bool:
    return found.values is not None and found.values.get("WORD") == text


def _named(found: Arrived, text: str) -> bool:
    return found.values == {text: "value"}


def _never(_found: Arrived, _text: str) -> bool:
    return False


def _ends(found: Arrived, _text: str) -> bool:
    return any(tag.startswith("cloudship:expires:") for tag in found.asked["tags"])


TARGETS: dict[str, Target] = {
    "name": Target(
        ("name",),
        _flag("--name"),
        lambda found, text: (found.droplet["name"], found.asked["name"].rpartition("-")[0]) == (text, text),
        "web-2",
    ),
    "owner": Target(
        ("owner",),
        _key("owner = {}"),
        lambda found, text: f"cloudship:by:{text.lower()}" in found.asked["tags"],
        "CI_7",
    ),
    "region": Target(("region",), _flag("--region"), lambda found, text: found.asked["region"] == text, "fra1"),
    "size": Target(("size",), _flag("--size"), lambda found, text: found.asked["size"] == text, "s-1vcpu-2gb"),
    "image": Target(("image",), _flag("--image"), lambda found, text: found.asked["image"] == text, "debian-12-x64"),
    "ttl": Target(("ttl", "duration"), _flag("--ttl"), _ends, "90m"),
    "python_mirror": Target(
        ("python_mirror",),
        _key("python_mirror = {}"),
        lambda found, text: found.droplet["python_mirror"] == text,
        "https://example.org/a/b?c=d&e=(f)*",
    ),
    "ssh_keys, the path": Target(("ssh_keys",), _key("ssh_keys = [{}]"), _never, ""),
    "ssh_keys, the comment": Target(
        ("ssh_keys",),
        _public_key,
        lambda found, text: f"{_KEY} {text}".strip() in found.user_data["users"][0]["ssh_authorized_keys"],
        "me@here: {{7*7}} #",
    ),
    "branch": Target(
        _SOURCES, _repository("file://{}/served/app.git@{}"), lambda found, _text: bool(found.files), "main"
    ),
    "branches": Target(("branches",), _key("branches = [{}]"), _setting("branches", listed=True), "release/1.x"),
    "repository": Target(_SOURCES, _repository("{1}"), _never, ""),
    "repository, the path": Target(_SOURCES, _repository("http://127.0.0.1:9/{1}"), _never, ""),
    "source, the folder": Target(_SOURCES, _folder, lambda found, _text: "app.py" in found.files, "b c"),
    "source, a file": Target(
        _SOURCES, _file_name, lambda found, text: found.files.get(f"a{text}") == b"content", "-- '\"\n\\x.txt"
    ),
    "shared": Target(("shared",), _key("shared = [{}]"), _setting("shared", listed=True), "var/a b/$x;'%h"),
    "health.path": Target(
        ("health.path",),
        _key("health.path = {}"),
        lambda found, text: found.settings["health"]["path"] == text,
        "/up?a=b&c=$(d)'{{e}}",
    ),
    "env, the name": Target(("--env", "environment variable"), _key_of_value, _named, "A_1"),
    "env, the value": Target(("WORD",), lambda place, text: [str(place.app), "--env", f"WORD={text}"], _env, "a'b"),
    "env, in a file": Target(("WORD", "env file"), _env_file, _env, "a'b"),
    "process, the name": Target(
        ("Procfile",), _file("Procfile", "{}: sleep 1\n"), _in_file("Procfile", "{}: sleep 1\n"), "worker"
    ),
    "process, the command": Target(
        ("Procfile",), _file("Procfile", "worker: {}\n"), _in_file("Procfile", "worker: {}\n"), "sleep 1"
    ),
    "schedule, the name": Target(
        ("schedule",),
        _key("[[schedule]]\nrun = 'true'\nwhen = '@daily'\nname = {}"),
        lambda found, text: found.settings["schedule"][0]["name"] == text,
        "tidy-up",
    ),
    "schedule, the time": Target(
        ("schedule",),
        _key("[[schedule]]\nrun = 'true'\nwhen = {}"),
        lambda found, text: found.settings["schedule"][0]["when"] == text,
        "*/5 * * * Mon-Fri",
    ),
    "schedule, the command": Target(
        ("schedule", "user-data"),
        _key("[[schedule]]\nrun = {}\nwhen = '@daily'"),
        lambda found, text: found.settings["schedule"][0]["run"] == text,
        "echo \"$(date)\" %h {{7*7}} > '/tmp/a b'",
    ),
    "build": Target(("build",), _key("build = {}"), _setting("build"), "make \"a b\" 'c' $d %h # {{e}} \\"),
    "release": Target(("release",), _key("release = {}"), _setting("release"), "flask db upgrade; echo `id`"),
    "apt": Target(("apt",), _key("apt = [{}]"), lambda found, text: found.droplet["apt"] == [text], "libstdc++-12-dev"),
    "python": Target(("python",), _key("python = {}"), _setting("python"), ">=3.10,<4"),
    "app": Target(("app",), _key("app = {}"), _setting("app"), "app:app"),
}


def _cases() -> list[tuple[str, str]]:
    every = [(name, payload) for name in TARGETS for payload in PAYLOADS]
    return every if CASES is None else random.Random(13).sample(every, CASES)  # noqa: S311  the same sample every time


class Ground:
    """The cloud of a worker, with what these cases need besides."""

    def __init__(self, field: Field) -> None:
        self.field, self.box = field, field.box
        self.programs = arrival.programs(field.folder / "programs")
        self.intended = ""

    def place(self) -> Place:
        """Give a case a folder, with an app and a repository in it."""
        folder = self.field.place()
        app = folder / "app"
        app.mkdir(parents=True)
        (app / "app.py").write_text((self.field.app / "app.py").read_text())
        (app / "requirements.txt").write_text("flask\n")
        if not (self.field.folder / "served").exists():
            (self.field.folder / "served").mkdir()
            (self.field.folder / "served-app").mkdir()
            (self.field.folder / "served-app" / "app.py").write_text((app / "app.py").read_text())
            publish(self.field.folder / "served-app", self.field.folder / "served")
        (folder / "served").symlink_to(self.field.folder / "served")
        return Place(folder, app)

    def up(self, place: Place, words: list[str]) -> case.Ended:
        """Launch."""
        named = [] if "--name" in words else ["--name", SHIP]
        environ = case.environment(place.folder) | self.programs
        environ |= {"CLOUDSHIP_LOCAL_DIR": str(self.box.directory), "SEEN_WORDS": str(place.folder / "words")}
        environ |= {"CLOUDSHIP_OWNER": ""} if "--config" in words else {}
        source, rest = words[:1], words[1:]
        whole = ["up", *named, *rest, "--cloud", "local", "--", *source]
        return case.run(whole, self.box.knobs, environ, lambda _point: None, arrival.recording(place.folder))


_INTENDED: dict[Path, str] = {}  # by cloud


@pytest.fixture
def hostile(ground: Field) -> Ground:
    """Give a worker's cloud, and what user-data means there."""
    found = Ground(ground)
    if found.box.directory not in _INTENDED:
        _INTENDED[found.box.directory] = _intent(found)
    found.intended = _INTENDED[found.box.directory]
    return found


def _judged(ground: Ground, target: Target, text: str, place: Place, ended: case.Ended) -> list[str]:
    """Say what is wrong; empty: it was refused by its name and nothing came to be, or it arrived as it is."""
    canary = place.folder / "canary"
    wrong = [f"a command ran: {canary} is there"] if canary.exists() else []
    for call in arrival.words(place.folder / "words"):
        wrong += [f"git saw an option: {word}" for word in call if word.startswith("-") and str(canary) in word]
    posts = [one["path"] for one in ground.box.knobs.requests() if one["method"] != "GET"]
    if ended.status == 2:
        said = ended.output[ended.output.rfind("error") :].splitlines()
        wrong += [f"something was asked for: {posts}"] if posts else []
        wrong += ["it does not name the field"] if not any(mark in "\n".join(said) for mark in target.marks) else []
        wrong += ["the message is too long"] if len(said) > 12 or len("\n".join(said)) > 4000 else []
        wrong += ["it shows what does not print"] if any(not line.isprintable() for line in said) else []
        return wrong if not wrong else [*wrong, ended.output[-600:]]
    if ended.status != 0:
        return [*wrong, f"it ended with {ended.status}: {ended.output[-600:]}"]
    return wrong + _as_meant(ground, target, text, arrival.of(ground.box, place.folder))


def _as_meant(ground: Ground, target: Target, text: str, found: Arrived) -> list[str]:
    wrong = [] if target.arrived(found, text) else ["it arrived as something else"]
    if arrival.masked(found.user_data) != ground.intended:
        wrong.append("the user-data means something else")
    wrong += [f"the push says {one!r}" for one in found.options if not one.isprintable()]
    try:
        inspect(ground.field.app, found.settings)  # by the very module that reads them on the droplet
    except CloudshipError as error:
        wrong.append(f"the droplet refuses what the client took: {error}")
    return wrong


def _carried_out(ground: Ground, name: str, payload: str) -> list[str] | None:
    place, target = ground.place(), TARGETS[name]
    text = aimed(payload, place.folder / "canary")
    words = target.words(place, text)
    if words is None:
        return None
    ground.box.knobs.clear_requests()
    ended = ground.up(place, words)
    found = _judged(ground, target, text, place, ended)
    if ended.status == 0:
        found += _taken_down(ground, name, text, place, ended)
    elif "Traceback" in ended.output:
        found.append(f"a traceback was shown: {ended.output[-600:]}")
    return found


def _taken_down(ground: Ground, name: str, text: str, place: Place, ended: case.Ended) -> list[str]:
    if name != "name":
        return oracle.judge(ground.box, place.folder, ended)
    down = case.run(
        ["down", text, "--cloud", "local"], ground.box.knobs, case.environment(place.folder), lambda _point: None
    )
    return [*([] if down.status == 0 else [down.output[-400:]]), *oracle.difference(ground.box)]


def _intent(ground: Ground) -> str:
    """Learn what user-data means where nobody means harm."""
    place = ground.place()
    ended = ground.up(place, [str(place.app)])
    assert ended.status == 0, ended.output
    found = arrival.masked(arrival.of(ground.box, place.folder).user_data)
    assert [] == oracle.judge(ground.box, place.folder, ended)
    return found


@pytest.mark.parametrize("name", [name for name, target in TARGETS.items() if target.good])
def test_a_good_text_arrives(hostile: Ground, name: str) -> None:
    """Each field takes what it is for, letter for letter: the checks below do not pass because nothing ever does."""
    place, target = hostile.place(), TARGETS[name]
    ended = hostile.up(place, target.words(place, target.good) or [])
    assert (0, []) == (ended.status, _judged(hostile, target, target.good, place, ended)), ended.output
    assert [] == _taken_down(hostile, name, target.good, place, ended)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_hostile_texts(hostile: Ground, shard: int) -> None:
    """None runs, none is an option of git's, none changes what the user-data means."""
    wrong, done = {}, 0
    for name, payload in _cases()[shard::SHARDS]:
        found = _carried_out(hostile, name, payload)
        done += found is not None
        if found:
            wrong[f"{name} {payload[:80]!r}"] = found
    record("T13 hostile input", cases=done, points=len(TARGETS))
    assert not wrong, told(wrong)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_drawn_texts(hostile: Ground, shard: int) -> None:
    """What nobody thought of: any text, and pieces of the known ones put together."""
    done: list[int] = []

    @settings(max_examples=DRAWN // SHARDS, suppress_health_check=[*HealthCheck])
    @given(st.sampled_from(sorted(TARGETS)), _TEXTS)
    def harmless(name: str, text: str) -> None:
        found = _carried_out(hostile, name, text)
        done.append(found is not None)
        assert not found, f"{name} {text[:80]!r}: {found}"

    harmless()
    record("T13 drawn texts", cases=sum(done), points=len(TARGETS))
