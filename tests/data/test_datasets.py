"""Fetching public files without a network, and the manual."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tinygrad_rnn import data
from tinygrad_rnn.core.errors import ConfigError, DataError
from tinygrad_rnn.data import datasets

CONTENT = b"anna\nbob\n"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder; every address is a file that does not exist."""
    monkeypatch.delenv("TINYGRAD_RNN_DATA", raising=False)
    folder = tmp_path / "cache"
    monkeypatch.setattr(datasets, "_cache_folder", lambda: folder)
    monkeypatch.setattr(
        datasets, "SOURCES", {"names.txt": datasets.Source((tmp_path / "absent").as_uri(), sha256(CONTENT))}
    )
    return folder


@pytest.fixture
def serve(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], Path]:
    """A function that puts a content at the public address."""

    def put(content: bytes) -> Path:
        path = tmp_path / "remote"
        path.write_bytes(content)
        monkeypatch.setattr(datasets, "SOURCES", {"names.txt": datasets.Source(path.as_uri(), sha256(CONTENT))})
        return path

    return put


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_is_downloaded_once_and_kept(cache: Path, serve: Callable[[bytes], Path]) -> None:
    remote = serve(CONTENT)
    path = data.fetch("names.txt")
    assert path == cache / "names.txt"
    assert path.read_bytes() == CONTENT
    remote.unlink()
    assert data.fetch("names.txt") == path
    assert [p.name for p in cache.iterdir()] == ["names.txt"]


def test_a_damaged_file_in_the_cache_is_downloaded_again(cache: Path, serve: Callable[[bytes], Path]) -> None:
    serve(CONTENT)
    data.fetch("names.txt").write_bytes(CONTENT[:-1])
    assert data.fetch("names.txt").read_bytes() == CONTENT


def test_a_download_with_another_sum_is_refused_and_not_kept(cache: Path, serve: Callable[[bytes], Path]) -> None:
    serve(CONTENT + b"x")
    with pytest.raises(DataError, match=f"has SHA-256 {sha256(CONTENT + b'x')}, expected {sha256(CONTENT)}"):
        data.fetch("names.txt")
    assert not (cache / "names.txt").exists()


def test_without_a_network_the_error_says_where_to_put_the_file(cache: Path) -> None:
    with pytest.raises(DataError, match=r"absent cannot be downloaded.*as names\.txt and set TINYGRAD_RNN_DATA"):
        data.fetch("names.txt")


def test_the_folder_of_the_user_comes_first(
    tmp_path: Path, cache: Path, serve: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(CONTENT)
    data.fetch("names.txt")
    monkeypatch.setenv("TINYGRAD_RNN_DATA", str(tmp_path / "mine"))
    assert data.fetch("names.txt") == cache / "names.txt"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "names.txt").write_bytes(CONTENT)
    assert data.fetch("names.txt") == tmp_path / "mine" / "names.txt"


def test_a_file_of_the_user_with_another_sum_is_a_named_error(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYGRAD_RNN_DATA", str(tmp_path))
    (tmp_path / "names.txt").write_bytes(b"other")
    with pytest.raises(DataError, match=f"{sha256(b'other')}, expected {sha256(CONTENT)}.*unset TINYGRAD_RNN_DATA"):
        data.fetch("names.txt")


def test_a_cache_that_cannot_be_written_is_a_named_error(cache: Path, serve: Callable[[bytes], Path]) -> None:
    serve(CONTENT)
    cache.write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"cannot be written.*set TINYGRAD_RNN_DATA"):
        data.fetch("names.txt")


def test_a_write_that_fails_leaves_nothing_behind(
    cache: Path, serve: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: str, target: Path) -> None:
        raise OSError(28, "No space left on device")

    serve(CONTENT)
    monkeypatch.setattr(datasets.os, "replace", fail)
    with pytest.raises(DataError, match="No space left"):
        data.fetch("names.txt")
    assert list(cache.iterdir()) == []


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'shakespeare'; write one of tinyshakespeare\.txt, names\.txt"):
        data.fetch("shakespeare")


@pytest.mark.parametrize("name", list(datasets.SOURCES))
def test_a_public_source_has_an_address_and_a_sum(name: str) -> None:
    source = datasets.SOURCES[name]
    assert source.address.startswith("https://raw.githubusercontent.com/")
    assert len(bytes.fromhex(source.sha256)) == 32


@pytest.mark.parametrize(
    ("platform", "variable", "ends"),
    [("linux", "XDG_CACHE_HOME", "here/tinygrad_rnn"), ("win32", "LOCALAPPDATA", "here/tinygrad_rnn")],
)
def test_the_cache_is_where_the_system_wants_it(
    platform: str, variable: str, ends: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.sys, "platform", platform)
    monkeypatch.setenv(variable, "here")
    assert datasets._cache_folder() == Path(ends)
    monkeypatch.delenv(variable)
    assert datasets._cache_folder().name == "tinygrad_rnn"
    assert Path.home() in datasets._cache_folder().parents
    monkeypatch.setattr(datasets.sys, "platform", "darwin")
    assert datasets._cache_folder() == Path.home() / "Library" / "Caches" / "tinygrad_rnn"


def test_the_manual_is_the_same_in_every_process() -> None:
    program = "import sys; from tinygrad_rnn import data; sys.stdout.buffer.write(data.python_manual().encode())"
    again = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        cwd=Path(datasets.__file__).parents[2],
    )
    assert again.stdout == data.python_manual().encode()


def test_the_manual_is_long_enough_to_learn_from() -> None:
    text = data.python_manual()
    assert len(text) > 400_000
    assert 90 < len(data.CharVocabulary.from_text(text)) < 130
    if sys.version_info[:3] == (3, 11, 7):
        assert (len(text), len(set(text))) == (465_126, 103)


def test_a_python_without_the_manual_is_a_named_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(DataError, match="no manual"):
        data.python_manual()
