"""Which app is it? Found out by looking, explained in one line, refused in doubt."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from droplet import django, hints, procfile, python_version, requirements, wsgi
from droplet.requirements import Requirements, RequirementsError
from droplet.settings import Settings, SettingsError

PROCFILE, DJANGO, FLASK, ASGI, WSGI, STATIC = "procfile", "django", "flask", "asgi", "wsgi", "static"
GUNICORN, SHELL, NO_SERVER = "gunicorn", "shell", "none"
UVICORN_WORKER = "uvicorn_worker.UvicornWorker"
_STATIC_FOLDERS = (".", "public", "dist", "_site", "site", "build", "www", "html")
_FOLDERS, _SHOWN = 50, 3  # looked into where nothing was found; named
_LOOKED_FOR = (
    "a Procfile with a web: line, manage.py (Django), app/application/create_app in app.py, wsgi.py, main.py,"
    " application.py or a package (Flask, FastAPI, Starlette, plain WSGI), or index.html"
)


class AppError(Exception):
    """
    No app was found, or more than one.

    Args:
        message: what was found, or looked for.
        candidates: what it could be.
        next_step: the line of configuration, or the command, that settles it.
    """

    def __init__(self, message: str, candidates: Tuple[str, ...] = (), next_step: str = "") -> None:
        super().__init__(message)
        self.candidates = candidates
        self.next_step = next_step


@dataclass(frozen=True)
class App:
    """What runs, and how it was found out."""

    kind: str
    why: str
    server: str
    target: Optional[str] = None  # module:callable
    directory: str = "."  # where it runs, relative to the tree
    asgi: bool = False
    processes: Dict[str, str] = field(default_factory=dict)  # the Procfile's lines
    requirements: Requirements = requirements.NOTHING
    extras: Tuple[str, ...] = ()  # packages that the app forgot to name
    python: Optional[str] = None
    static: Dict[str, str] = field(default_factory=dict)  # URL prefix: folder, relative to the tree
    django_settings: Optional[str] = None
    warnings: Tuple[str, ...] = ()
    dependency_files: Tuple[str, ...] = ()  # what the Python environment depends on


def detect(tree: Path, settings: Settings) -> App:
    """
    Find out which app a tree holds.

    Raises:
        AppError: none, or more than one; or its packages cannot be installed from what is there.
        SettingsError: pyproject.toml cannot be read.
    """
    try:
        found = _detected(tree, settings)
        doubts = hints.doubts(tree, settings.app, packages=found.requirements.mode != "none")
        return replace(found, processes=procfile.read(tree), warnings=(*found.warnings, *doubts))
    except RequirementsError as error:
        raise AppError(str(error), (), error.next_step) from error
    except procfile.ProcfileError as error:
        raise AppError(str(error), (), "mend the Procfile") from error


def _detected(tree: Path, settings: Settings) -> App:
    found = _looked_at(tree, settings)
    if found is None:
        raise _nothing(tree)
    return found


def _looked_at(tree: Path, settings: Settings) -> Optional[App]:
    processes = procfile.read(tree)
    if settings.app:
        return _callable(tree, settings, wsgi.named(tree, settings.app), f"cloudship.toml says {settings.app}")
    if "web" in processes:
        return _procfile(tree, settings, processes)
    project = django.find(tree)
    if project:
        return _django(tree, settings, project)
    candidates = wsgi.find(tree)
    if candidates:
        return _chosen(tree, settings, candidates)
    folder = next((one for one in _STATIC_FOLDERS if (tree / one / "index.html").is_file()), None)
    if folder:
        shown = "index.html" if folder == "." else f"{folder}/index.html"
        return App(
            STATIC,
            f"static site: {shown}, no Python at all",
            NO_SERVER,
            directory=folder,
            warnings=hints.unbuilt(tree / folder),
        )
    return None


def _nothing(tree: Path) -> AppError:
    """Say what was looked for, what stood in the way, and in which folder below an app lies."""
    faults = hints.obstacles(tree)
    below = _below(tree)
    faults += [f"{folder}/ holds one: {why}" for folder, why in below]
    step = f'{"mend what is named above, or " if faults else ""}app = "module:callable" in cloudship.toml'
    step = f"name that folder: {below[0][0]}" if below else step
    return AppError(f"No app was found here; looked for {_LOOKED_FOR}", tuple(faults), step)


def _below(tree: Path) -> List[Tuple[str, str]]:
    """Find the apps in the folders of a tree: somebody may have named the folder above."""
    found = []
    folders = sorted(one for one in tree.iterdir() if one.is_dir() and not one.name.startswith("."))
    for folder in folders[:_FOLDERS]:
        try:
            app = _looked_at(folder, Settings())
        except (AppError, RequirementsError, SettingsError):
            continue
        if app is not None:
            found.append((folder.name, app.why))
    return found[:_SHOWN]


def _procfile(tree: Path, settings: Settings, processes: Dict[str, str]) -> App:
    line = processes["web"]
    needs = requirements.find(tree)
    extras = _missing(needs, ["gunicorn"]) if procfile.runs_gunicorn(line) else ()
    project = django.find(tree)
    return _with_python(
        tree,
        settings,
        needs,
        extras,
        kind=PROCFILE,
        why=f"Procfile: web runs `{line}`" + _added(extras),
        server=SHELL,
        processes=processes,
        django_settings=project.settings if project else None,
        warnings=project.warnings if project else (),
    )


def _django(tree: Path, settings: Settings, project: django.Project) -> App:
    root = tree if requirements.find(tree).mode != "none" else tree / project.directory
    needs = requirements.find(root)
    extras = _missing(needs, ["django", *_servers(project.asgi, settings)])
    manage = "manage.py" if project.directory == "." else f"{project.directory}/manage.py"
    return _with_python(
        tree,
        settings,
        needs if root == tree else _in_folder(needs, project.directory),
        extras,
        kind=DJANGO,
        why=f"Django: {manage}, {project.settings} names {project.target}" + _added(extras),
        server=GUNICORN,
        target=project.target,
        directory=project.directory,
        asgi=project.asgi,
        django_settings=project.settings,
        warnings=(*project.warnings, *_unmigrated(tree, settings)),
    )


def _unmigrated(tree: Path, settings: Settings) -> Tuple[str, ...]:
    """Say how a project's tables are made, where nothing makes them."""
    if settings.release or "release" in procfile.read(tree):
        return ()
    return ('migrations are not run; this line in cloudship.toml does: release = "python manage.py migrate"',)


def _chosen(tree: Path, settings: Settings, candidates: List[wsgi.Candidate]) -> App:
    best = min(wsgi.rank(one) for one in candidates)
    equals = [one for one in candidates if wsgi.rank(one) == best]
    same_app = {(one.framework, _app_of(one)) for one in equals}
    if len(same_app) > 1:
        shown = tuple(f'app = "{one.target}"  # {one.framework} in {one.file}' for one in equals)
        raise AppError(
            f"This could be {len(equals)} apps: {', '.join(one.target for one in equals)}",
            shown,
            f"write one of these lines into cloudship.toml: {shown[0].partition('  #')[0]}",
        )
    return _callable(tree, settings, equals[0], f"{equals[0].file} defines {equals[0].target.partition(':')[2]}")


def _app_of(candidate: wsgi.Candidate) -> str:
    """Take wsgi.py and its like as the door to the app that lies behind them."""
    module = candidate.target.partition(":")[0]
    return "" if module in {"wsgi", "asgi"} else module


def _callable(tree: Path, settings: Settings, found: wsgi.Candidate, reason: str) -> App:
    asgi = found.asgi or settings.server == "uvicorn"
    needs = requirements.find(tree)
    wanted = ([found.package] if found.package else []) + _servers(asgi, settings)
    extras = _missing(needs, wanted)
    kind = ASGI if asgi else FLASK if found.framework == "Flask" else WSGI
    names = f", {needs.source} names {found.package}" if found.package in needs.names else ""
    return _with_python(
        tree,
        settings,
        needs,
        extras,
        kind=kind,
        why=f"{found.framework}: {reason}{names}" + _added(extras),
        server=GUNICORN,
        target=found.target,
        asgi=asgi,
        static={"/static/": found.static_folder} if found.static_folder else {},
    )


def _with_python(tree: Path, settings: Settings, needs: Requirements, extras: Tuple[str, ...], **values: object) -> App:
    versions = tuple(name for name in python_version.FILES if (tree / name).is_file())
    return App(
        requirements=needs,
        extras=extras,
        python=python_version.wanted(tree, settings.python, needs.python),
        dependency_files=(*needs.files, *versions),
        **values,  # type: ignore[arg-type]
    )


def _servers(asgi: bool, settings: Settings) -> List[str]:  # noqa: FBT001  it is asked positionally once
    del settings  # both servers run under gunicorn
    return ["gunicorn", "uvicorn", "uvicorn-worker"] if asgi else ["gunicorn"]


def _missing(needs: Requirements, wanted: List[str]) -> Tuple[str, ...]:
    return tuple(name for name in wanted if name not in needs.names)


def _in_folder(needs: Requirements, directory: str) -> Requirements:
    files = tuple(f"{directory}/{name}" for name in needs.files)
    return Requirements(needs.mode, files, needs.names, needs.python)


def _added(extras: Tuple[str, ...]) -> str:
    return f"; adding {', '.join(extras)}" if extras else ""


__all__ = ["App", "AppError", "Settings", "SettingsError", "detect"]
