"""Configuration: file < environment < keyword, and helpful refusals."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from cloudship import config
from cloudship.config import load, parse_env, read_env_file
from cloudship.errors import ConfigError
from cloudship.models import Cloud, Secret


def test_defaults_hold_where_nothing_is_said() -> None:
    """The documented defaults are on the model and nowhere else."""
    found = load(None, environ={}).config
    assert ("s-1vcpu-1gb", "nyc3", None, "/") == (found.size, found.region, found.image, found.health.path)


def test_environment_wins_over_the_file_and_keywords_win_over_both(tmp_path: Path) -> None:
    """Three layers, the nearest to the caller on top."""
    (tmp_path / "cloudship.toml").write_text('size = "a"\nregion = "b"\nname = "c"\n')
    environ = {"CLOUDSHIP_REGION": "e", "CLOUDSHIP_NAME": "e"}
    found = load(tmp_path, environ=environ, given={"name": "k"}).config
    assert ("a", "e", "k") == (found.size, found.region, found.name)


def test_a_not_given_keyword_hides_nothing(tmp_path: Path) -> None:
    """None means: not given."""
    (tmp_path / "cloudship.toml").write_text('cloud = "local"\n')
    assert Cloud.LOCAL is load(tmp_path, environ={}, given={"cloud": None}).config.cloud


def test_tables_merge_key_by_key(tmp_path: Path) -> None:
    """One key of a table from outside leaves the others of the file."""
    (tmp_path / "cloudship.toml").write_text('[health]\npath = "/up"\nstatus = 204\n')
    found = load(tmp_path, environ={"CLOUDSHIP_HEALTH_TIMEOUT": "5"}).config.health
    assert ("/up", 204, 5.0) == (found.path, found.status, found.timeout)


def test_names_of_the_apps_values_keep_their_case() -> None:
    """CLOUDSHIP_ENV_Name sets Name."""
    assert {"Mixed_Case": Secret("x")} == load(None, environ={"CLOUDSHIP_ENV_Mixed_Case": "x"}).config.env


def test_only_keys_from_outside_are_handed_to_the_droplet(tmp_path: Path) -> None:
    """What stands in the tree is read there again at each release."""
    (tmp_path / "cloudship.toml").write_text('build = "make"\n')
    loaded = load(tmp_path, environ={}, given={"app": "wsgi:app"})
    assert {"app": "wsgi:app"} == loaded.outside


def test_from_a_git_url_only_the_apps_keys_are_heeded(tmp_path: Path) -> None:
    """A foreign tree cannot choose size or cloud; what is ignored is named."""
    (tmp_path / "cloudship.toml").write_text('size = "huge"\napp = "a:b"\n')
    loaded = load(tmp_path, foreign=True, environ={})
    assert ("s-1vcpu-1gb", "a:b", ("size",)) == (loaded.config.size, loaded.config.app, loaded.ignored)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('sizee = "x"', "did you mean 'size'"),
        ("[health]\npth = 1", "did you mean 'path'"),
        ('ttl = "soon"', "no duration"),
        ('name = "Not A Name"', "no name for a ship"),
        ('cloud = "aws"', "cloud"),
        ("[env]\n'1x' = 'y'", "no name for an environment variable"),
        ("size = ", "cannot be read"),
    ],
)
def test_what_cannot_be_is_refused_by_key(tmp_path: Path, text: str, message: str) -> None:
    """A refusal names the key, and the nearest that there is."""
    (tmp_path / "cloudship.toml").write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load(tmp_path, environ={})
    assert 2 == caught.value.exit_status


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("app = 5", "cloudship.toml: app: a text in quotes belongs here"),
        ('env = "x"', "cloudship.toml: env: a table belongs here"),
        ("health = 1", "cloudship.toml: health: a table belongs here"),
        ('[health]\nstatus = "abc"', "cloudship.toml: health.status: a whole number belongs here"),
        ("[health]\nstatus = 7", "cloudship.toml: health.status: it is to be greater than or equal to 100"),
        ('[health]\npath = "up"', "cloudship.toml: health.path: it begins with /"),
        ('watch = "long"', "cloudship.toml: watch: a number belongs here"),
        ("apt = 1", "cloudship.toml: apt: a list belongs here"),
        ('cloud = "aws"', "cloudship.toml: cloud: it is to be 'local' or 'digitalocean'"),
        ('region = "a b"', "cloudship.toml: region: letters, digits"),
        ("ttl = 2", "cloudship.toml: ttl: '2' is no duration; write it like 2h"),
    ],
)
def test_a_value_of_another_kind_is_refused_in_words(tmp_path: Path, text: str, message: str) -> None:
    """Where it is written, and what belongs there, without a library's own words."""
    (tmp_path / "cloudship.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, environ={})
    assert str(caught.value).startswith(message)


def test_a_refusal_names_the_place_that_won(tmp_path: Path) -> None:
    """The file, the variable or, for a keyword, the key alone; of a table's keys each its own."""
    (tmp_path / "pyproject.toml").write_text('[tool.cloudship]\nttl = "soon"\n[tool.cloudship.health]\nstatus = 1\n')
    outside = tmp_path / "other.toml"
    outside.write_text('ttl = "later"\n')
    cases: list[tuple[dict[str, Any], str]] = [
        ({"environ": {}}, "pyproject.toml: ttl: 'soon'"),
        ({"environ": {}, "file": outside}, f"{outside}: ttl: 'later'"),
        ({"environ": {"CLOUDSHIP_TTL": "now"}, "file": outside}, "CLOUDSHIP_TTL: 'now'"),
        ({"environ": {"CLOUDSHIP_TTL": "now"}, "given": {"ttl": "never"}}, "ttl: 'never'"),
        ({"environ": {"CLOUDSHIP_TTL": "2h", "CLOUDSHIP_HEALTH_PATH": "/"}}, "pyproject.toml: health.status"),
        ({"environ": {"CLOUDSHIP_TTL": "2h", "CLOUDSHIP_HEALTH_STATUS": "2"}}, "CLOUDSHIP_HEALTH_STATUS"),
    ]
    for keywords, message in cases:
        with pytest.raises(ConfigError) as caught:
            load(tmp_path, **keywords)
        assert str(caught.value).startswith(message)
    assert 60 == load(tmp_path, environ={}, given={"ttl": 60, "health": {"status": 200}}).config.ttl


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "CLOUDSHIP_ENV",
            "production",
            "CLOUDSHIP_ENV: each of the app's values has a variable .* CLOUDSHIP_ENV_<NAME>",
        ),
        ("CLOUDSHIP_ENV", '{"A": "1"}', "CLOUDSHIP_ENV: each of the app's values"),
        ("cloudship_env", "x", "CLOUDSHIP_ENV: each of the app's values"),
        ("CLOUDSHIP_HEALTH", "/up", "CLOUDSHIP_HEALTH: each of its keys .* CLOUDSHIP_HEALTH_PATH=/up"),
        ("CLOUDSHIP_HEALTH", "5", "CLOUDSHIP_HEALTH: a table belongs here"),
        ("CLOUDSHIP_SCHEDULE", "x", "CLOUDSHIP_SCHEDULE: a list of jobs in JSON"),
        ("CLOUDSHIP_SCHEDULE", "[" * 100_000, "CLOUDSHIP_SCHEDULE: a list of jobs in JSON"),
    ],
)
def test_a_variable_that_cannot_be_a_line_of_text_is_refused_in_words(name: str, text: str, message: str) -> None:
    """It says how its key is written in the environment."""
    with pytest.raises(ConfigError, match=message) as caught:
        load(None, environ={name: text})
    assert 2 == caught.value.exit_status


def test_tables_and_jobs_may_stand_in_the_environment_as_json() -> None:
    """Of one variable; what it does not name stays the default."""
    environ = {"CLOUDSHIP_SCHEDULE": '[{"run": "./tidy", "when": "@daily"}]', "CLOUDSHIP_HEALTH": '{"path": "/up"}'}
    found = load(None, environ=environ).config
    assert (({"run": "./tidy", "when": "@daily"},), "/up", 60.0) == (
        found.schedule,
        found.health.path,
        found.health.timeout,
    )


def test_two_configurations_in_one_tree_are_refused(tmp_path: Path) -> None:
    """cloudship.toml and [tool.cloudship] together are an error."""
    (tmp_path / "cloudship.toml").write_text("")
    (tmp_path / "pyproject.toml").write_text("[tool.cloudship]\n")
    with pytest.raises(ConfigError, match="Both"):
        load(tmp_path, environ={})


@pytest.mark.parametrize(("text", "seconds"), [("90", None), ("2h", 7200), ("1h30m", 5400), ("1d", 86400), ("45s", 45)])
def test_durations_are_read_into_seconds(text: str, seconds: int | None) -> None:
    """A duration has units; a bare number in a text is none."""
    if seconds is None:
        with pytest.raises(ValueError, match="no duration"):
            config.duration(text)
    else:
        assert seconds == config.duration(text)


def test_env_files_bring_every_byte(tmp_path: Path) -> None:
    """Only matching quotes around a value are taken off; blanks, comments and `export` are passed over."""
    place = tmp_path / "env"
    place.write_text('# comment\n\nexport A=1\nB="two words"\nC=\'$x "y"\'\nD=a=b # not a comment\n')
    found = {name: secret.reveal() for name, secret in read_env_file(place).items()}
    assert {"A": "1", "B": "two words", "C": '$x "y"', "D": "a=b # not a comment"} == found


def test_flags_of_values_that_are_none_are_refused_without_showing_them() -> None:
    """An --env without = is named by its name only."""
    assert {"A": Secret("b=c")} == parse_env(("A=b=c",))
    with pytest.raises(ConfigError, match="NAME=value"):
        parse_env(("A",))


def test_secrets_never_show_themselves() -> None:
    """repr, str, format and pickling give nothing away."""
    import pickle

    loaded = load(None, environ={}, given={"env": {"KEY": "hunter2"}})
    assert "hunter2" not in f"{loaded!r} {loaded.config.env['KEY']} {loaded.config.env['KEY']:>9}"
    assert "hunter2" not in loaded.config.model_dump_json()
    with pytest.raises(TypeError):
        pickle.dumps(loaded.config.env["KEY"])


def test_every_variable_that_is_read_is_documented(root: Path) -> None:
    """Here and on the droplet: keys by their own names, all others by the variable's."""
    page = (root / "docs" / "configuration.md").read_text(encoding="utf-8")
    keys = {*config.Config.model_fields} - {"health"} | {f"health.{key}" for key in config.Health.model_fields}
    assert keys == set(re.findall(r"^\| `\[*([a-z_.]+)", page, re.MULTILINE))
    files = [path for folder in ("cloudship", "userdata") for path in (root / folder).rglob("*.py")]
    named = {name for path in files for name in re.findall(r"\bCLOUDSHIP_[A-Z_]*[A-Z]\b", path.read_text("utf-8"))}
    assert {"CLOUDSHIP_STATE_DIR", "CLOUDSHIP_PROCESS"} <= named
    others = (named | config.OTHERS) - {f"CLOUDSHIP_{key.upper().replace('.', '_')}" for key in keys}
    assert [] == sorted(name for name in others if f"`{name}`" not in page)
