"""`render`: the cloned document, which needs no client."""

from __future__ import annotations

from pathlib import Path

from cloudship import index, keys, render, source
from cloudship.config import load
from cloudship.errors import SourceError


def rendered(text: str | Path, *, git: str | None, name: str | None, config_file: Path | None) -> str:
    """
    Render user-data with which a droplet fetches an app and brings it up by itself.

    Args:
        text: the folder whose configuration is used; it is not sent.
        git: URL with optional `@ref`; None: SOURCE itself is the URL.
        name: the ship's name; default: as for `up`.
        config_file: a configuration from outside the app.

    Raises:
        SourceError: there is no git URL.
        UserDataError: the user-data would be refused.
    """
    asked = source.parse(git if git is not None else text)
    if not isinstance(asked, source.GitSource):
        raise SourceError(
            "A droplet that comes up by itself needs a git URL to fetch the app from",
            next_step="cloudship render --git https://.../app.git@main",
        )
    if asked.login is not None:
        raise SourceError(
            "User-data can be read by everything on the droplet, so no password or token may stand in its git URL",
            next_step=f"cloudship up with that URL, which fetches it here; or a public repository: {asked.url}",
        )
    folder = Path(text) if git is not None and Path(text).is_dir() else None
    loaded = load(folder, file=config_file, given={"name": name})
    fetched = index.packages(loaded.config.python_mirror)
    spec = render.BootSpec(
        name=loaded.config.name or source.default_name(asked),
        authorized_keys=keys.own_public_keys(loaded.config.ssh_keys),
        git=render.GitSource(url=asked.url, ref=asked.ref),
        apt=loaded.config.apt,
        settings=dict(loaded.outside),
        index_url=fetched.index_url,
        python_mirror=fetched.python_mirror,
    )
    return render.render(spec).text
