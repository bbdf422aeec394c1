"""Storages of a study: every kind that does not work ends in one line that says what to do."""

from __future__ import annotations

import socket
import threading

import pytest

from hz3py.errors import Hz3Error, StoreError, UsageError
from hz3py.tuning import storage


def refusal(url: str) -> Hz3Error:
    with pytest.raises(Hz3Error) as caught:
        storage.open_study(url, "x", "rss")
    assert "\n" not in str(caught.value)
    assert "secret" not in f"{caught.value} {caught.value.hint}"
    return caught.value


@pytest.mark.parametrize(
    "url",
    ["redis://h:6379", "mongodb://a:secret@h/x", "http://h", "study.db", "nothing at all",
     "journal+redis://h", "oracle://h/x", "memory"],
)  # fmt: skip
def test_an_unknown_kind_names_those_that_there_are(url: str) -> None:
    found = refusal(url)
    assert isinstance(found, UsageError)
    assert "there is no storage of this kind" in str(found)
    assert all(form in str(found.hint) for form in storage.KINDS.values())


@pytest.mark.parametrize("url", ["journal:", "sqlite://", "sqlite:///", "mysql://", "grpc://"])
def test_a_url_without_a_place_says_how_to_write_it(url: str) -> None:
    found = refusal(url)
    assert "names no place" in str(found)
    assert storage.KINDS[url.partition(":")[0]] in str(found.hint)


@pytest.mark.parametrize(
    ("url", "install"),
    [
        ("mysql://a:secret@h/x", "pip install 'hz3[mysql]'"),
        ("mysql+asyncmy://a:secret@h/x", "pip install asyncmy"),
        ("postgresql://a:secret@h/x", "pip install 'hz3[postgresql]'"),
        ("grpc://h:1", "pip install 'hz3[grpc]'"),
    ],
)
def test_a_missing_driver_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, url: str, install: str
) -> None:
    monkeypatch.setattr(storage, "find_spec", lambda _name: None)
    found = refusal(url)
    assert isinstance(found, UsageError)
    assert "not installed" in str(found)
    assert found.hint == install


@pytest.mark.parametrize(
    ("url", "module"),
    [
        ("mysql://a:secret@127.0.0.1:1/x", "pymysql"),
        ("postgresql://a:secret@127.0.0.1:1/x", "psycopg2"),
        ("sqlite:////nowhere/at/all/study.db", "sqlite3"),
        ("journal:/nowhere/at/all/log", "sqlite3"),
    ],
)
def test_a_storage_that_is_not_there_is_told(url: str, module: str) -> None:
    pytest.importorskip(module)
    found = refusal(url)
    assert isinstance(found, StoreError)
    assert "cannot be used" in str(found)


def test_a_proxy_is_used_and_one_that_is_silent_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("grpc")
    optuna = pytest.importorskip("optuna")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    monkeypatch.setattr(storage, "PROXY_WAIT_S", 2)
    url = f"grpc://127.0.0.1:{port}"
    found = refusal(url)
    assert isinstance(found, StoreError)
    assert "does not answer within 2 s" in str(found)
    assert "names no port" in str(refusal("grpc://127.0.0.1"))

    monkeypatch.setattr(storage, "PROXY_WAIT_S", 60)
    with storage.quiet():
        served = optuna.storages.InMemoryStorage()
        threading.Thread(
            target=optuna.storages.run_grpc_proxy_server,
            args=(served,),
            kwargs={"host": "127.0.0.1", "port": port},
            daemon=True,
        ).start()
    storage.open_study(url, "shared", "rss")
    assert [study.study_name for study in served.get_all_studies()] == ["shared"]


def test_a_storage_that_goes_away_is_one_line() -> None:
    sqlalchemy = pytest.importorskip("sqlalchemy")
    url = "postgresql://a:secret@h/x"
    gone = sqlalchemy.exc.OperationalError("select", {}, RuntimeError("gone\nfor good"))
    told = "postgresql://a@h/x stopped answering: gone"
    with pytest.raises(StoreError, match=told) as caught, storage.kept_alive(url):
        raise gone
    assert "--resume" in str(caught.value.hint)
    with pytest.raises(ValueError, match="ours"), storage.kept_alive(url):
        raise ValueError("ours")
