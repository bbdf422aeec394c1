"""Where a study lives: a local file by default, any storage URL of Optuna for many workers."""

from __future__ import annotations

import logging
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hz3py.errors import StoreError, UsageError

if TYPE_CHECKING:
    import optuna

    from hz3py.tuning.task import Objective

HEARTBEAT_S = 10
GRACE_S = 45
"""A trial whose worker has been silent for so long is given up and its place is free again."""

LOCK_WAIT_S = 60
PROXY_WAIT_S = 10

KINDS = {
    "sqlite": "sqlite:///FILE",
    "postgresql": "postgresql://USER@HOST/DATABASE",
    "mysql": "mysql://USER@HOST/DATABASE",
    "journal": "journal:FILE",
    "grpc": "grpc://HOST:PORT",
    "memory": "memory:",
}
"""Storages by the first word of their URL, and how that is written."""

_DRIVERS = {
    "postgresql": {"psycopg": "psycopg", "psycopg2": "psycopg2"},
    "mysql": {"mysqldb": "MySQLdb", "pymysql": "pymysql"},
}
"""Drivers of a database and their modules, in the order in which they are tried."""

WORKER_ATTRIBUTE = "worker"


def default_url(folder: Path) -> str:
    """Return the storage of a study that lives in one folder."""
    return f"sqlite:///{(folder / 'study.db').absolute()}"


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna's own remarks from the screen."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def open_storage(url: str) -> optuna.storages.BaseStorage:
    """Open a storage.

    Args:
        url: ``sqlite:///FILE``, ``postgresql://...``, ``mysql://...``, ``journal:FILE``,
            ``grpc://HOST:PORT``, or ``memory:`` (forgotten at the end).

    Raises:
        UsageError: The URL has no meaning here, or a driver is missing.
        StoreError: The storage does not answer.
    """
    import optuna
    from optuna.storages.journal import JournalFileBackend

    kind, _, rest = url.partition(":")
    place = rest.removeprefix("//")
    _check_kind(url, kind, place)
    with _refusing(url):
        if kind == "memory":
            return optuna.storages.InMemoryStorage()
        if kind == "journal":
            return optuna.storages.JournalStorage(JournalFileBackend(place))
        if kind == "grpc":
            return _proxy(url, place)
        return optuna.storages.RDBStorage(
            _with_driver(url, kind),
            engine_kwargs=_engine(url),
            heartbeat_interval=HEARTBEAT_S,
            grace_period=GRACE_S,
        )


def open_study(
    url: str, name: str, objective: Objective, *, sampler: Any = None, pruner: Any = None
) -> optuna.Study:
    """Create a study, or join it if it is there already.

    Raises:
        UsageError: The URL has no meaning here, or the study has another objective.
        StoreError: The storage does not answer.
    """
    import optuna

    count = 2 if objective == "pareto" else 1
    storage = open_storage(url)
    with _refusing(url):
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            directions=["minimize"] * count,
            load_if_exists=True,
            sampler=sampler,
            pruner=pruner,
        )
        known = study.user_attrs.get("objective")
        if known is None:
            study.set_user_attr("objective", objective)
        elif known != objective:
            raise UsageError(
                f"the study {name!r} was started with --objective {known}",
                "go on with that one, or give another --study",
            )
    return study


def worker_name() -> str:
    """Return a text that tells this process from all others: host, process, and when it began."""
    return f"{socket.gethostname()} {os.getpid()} {_started(os.getpid())}"


def settle_orphans(study: optuna.Study) -> int:
    """Give up the running trials of workers of this machine that live no more.

    Workers of other machines are settled by their heartbeat, where the storage has one.

    Returns:
        How many there were.
    """
    import optuna

    optuna.storages.fail_stale_trials(study)
    running = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
    settled = 0
    for trial in running:
        host, _, rest = str(trial.user_attrs.get(WORKER_ATTRIBUTE, "")).partition(" ")
        pid, _, started = rest.partition(" ")
        if host == socket.gethostname() and pid.isdecimal() and _started(int(pid)) != started:
            try:
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
                settled += 1
            except (ValueError, RuntimeError):
                continue  # another worker was faster
    return settled


def _started(pid: int) -> str:
    """Return when a process began, in clock ticks since the start of the machine; "" if gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] in ("Z", "X") else fields[19]


def _check_kind(url: str, kind: str, place: str) -> None:
    """Refuse what is no storage, or names no place."""
    base = kind.partition("+")[0]
    if base not in KINDS or (base != kind and base not in _DRIVERS) or ":" not in url:
        raise UsageError(
            f"--storage {_public(url)}: there is no storage of this kind",
            f"write {', '.join(KINDS.values())}",
        )
    if kind != "memory" and not place.strip("/"):
        raise UsageError(f"--storage {url} names no place", f"write {KINDS[base]}")


def _proxy(url: str, place: str) -> optuna.storages.BaseStorage:
    """Open the proxy of a storage that another machine serves."""
    import optuna

    host, _, port = place.partition(":")
    if find_spec("grpc") is None:
        raise UsageError("grpc:// needs a package that is not installed", "pip install 'hz3[grpc]'")
    if not (host and port.isdecimal()):
        raise UsageError(f"--storage {url} names no port", f"write {KINDS['grpc']}")
    # Optional; its types are not published with it.
    import grpc  # type: ignore[import-not-found,import-untyped,unused-ignore]

    channel = grpc.insecure_channel(place)
    try:
        grpc.channel_ready_future(channel).result(timeout=PROXY_WAIT_S)
    except grpc.FutureTimeoutError as error:
        raise StoreError(
            f"the storage {url} does not answer within {PROXY_WAIT_S} s",
            "start it there: optuna.storages.run_grpc_proxy_server",
        ) from error
    finally:
        channel.close()
    return optuna.storages.GrpcStorageProxy(host=host, port=int(port))


def _with_driver(url: str, kind: str) -> str:
    """Name the driver that is installed where the URL names none."""
    base, _, named = kind.partition("+")
    drivers = _DRIVERS.get(base)
    if drivers is None:
        return url
    if named:
        drivers = {named: drivers.get(named, named)}
    for driver, module in drivers.items():
        if find_spec(module) is not None:
            return f"{base}+{driver}{url.removeprefix(kind)}"
    which = f"the driver {named}" if named else "a driver"
    hint = f"pip install {named}" if named else f"pip install 'hz3[{base}]'"
    raise UsageError(f"{kind}:// needs {which}, which is not installed", hint)


def _engine(url: str) -> dict[str, Any]:
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": LOCK_WAIT_S}}
    return {"pool_pre_ping": True}


@contextmanager
def kept_alive(url: str) -> Iterator[None]:
    """Turn what a storage complains about while it is used into one line.

    Args:
        url: The storage; empty for the file in the folder of a session.

    Raises:
        StoreError: The storage stopped answering.
    """
    import sqlalchemy.exc

    try:
        yield
    except sqlalchemy.exc.SQLAlchemyError as error:
        cause: BaseException = getattr(error, "orig", None) or error
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "grpc":
            raise
        cause = error
    else:
        return
    name = _public(url) or "of this session"
    raise StoreError(
        f"the storage {name} stopped answering: {_first_line(cause)}",
        "finished trials are kept in it; go on with --resume FOLDER",
    ) from cause


@contextmanager
def _refusing(url: str) -> Iterator[None]:
    """Turn what a storage complains about into one line."""
    import sqlalchemy.exc

    try:
        with quiet():
            yield
    except (sqlalchemy.exc.ArgumentError, ImportError) as error:
        raise UsageError(
            f"--storage {_public(url)}: {_first_line(error)}",
            "write for example sqlite:///study.db or postgresql://user@host/database",
        ) from error
    except (sqlalchemy.exc.SQLAlchemyError, OSError) as error:
        cause = getattr(error, "orig", None) or error
        raise StoreError(
            f"the storage {_public(url)} cannot be used: {_first_line(cause)}",
            "check that it runs and may be written, or leave out --storage",
        ) from error


def _public(url: str) -> str:
    """Return the URL without a password."""
    head, at, tail = url.rpartition("@")
    if not at:
        return url
    kind, separator, user = head.partition("://")
    return f"{kind}{separator}{user.partition(':')[0]}@{tail}"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
