"""A disk that dies: the process is killed at a chosen file operation, and what was not synced is lost."""

import builtins
import os
import signal
import warnings
from pathlib import Path

import pytest

_RENAMES = ("rename", "replace")
_OTHERS = ("mkdir", "unlink", "rmdir")


class _File:
    """A file whose writes and flushes are events."""

    def __init__(self, file, path, disk):
        self._file, self._path, self._disk = file, path, disk

    def write(self, data):
        self._disk.log("dirty", self._path)
        self._disk.event("write", lambda: (self._file.write(data[: len(data) // 2]), self._file.flush()))
        return self._file.write(data)

    def flush(self):
        self._disk.event("flush")
        self._file.flush()

    def fileno(self):
        return self._file.fileno()

    def __enter__(self):
        return self

    def __exit__(self, *details):
        self._file.close()


class Disk:
    """Counts the file operations of a child process, kills it at one of them, and then cuts the power.

    Args:
        path: of a log that survives the child.
    """

    def __init__(self, path):
        self._log = path

    def run(self, work, kill_at=None):
        """Run `work` in a forked child; return whether it was killed, and its number of operations."""
        self._log.write_bytes(b"")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Of forking with threads: the child makes none.
            child = os.fork()
        if child == 0:
            code = 1
            try:
                self._watch(kill_at)
                work()
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        assert killed or status == 0, "the child failed"
        return killed, sum(line.startswith("event") for line in self._lines())

    def cut_power(self):
        """Lose what was not synced: the second half of files; files and renames whose folder was not."""
        dirty, created, renames = set(), set(), []
        for kind, *paths in (line.split("\t") for line in self._lines()):
            if kind == "created":
                created.add(paths[0])
            elif kind == "dirty":
                dirty.add(paths[0])
            elif kind == "synced":
                dirty.discard(paths[0])
                created = {path for path in created if os.path.dirname(path) != paths[0]}
                renames = [pair for pair in renames if os.path.dirname(pair[1]) != paths[0]]
            elif kind == "renamed":
                old, new = paths
                dirty, created = (
                    {new + path.removeprefix(old) if path.startswith(old) else path for path in paths}
                    for paths in (dirty, created)
                )
                renames.append((old, new))
        for name in filter(os.path.exists, dirty):
            os.truncate(name, os.path.getsize(name) // 2)
        for name in filter(os.path.exists, created):
            os.unlink(name)
        for old, new in reversed(renames):
            if os.path.exists(new):
                os.rename(new, old)

    def log(self, *words):
        """Append a line to the log."""
        descriptor = _os_open(self._log, os.O_WRONLY | os.O_APPEND)
        os.write(descriptor, ("\t".join(map(str, words)) + "\n").encode())
        os.close(descriptor)

    def event(self, name, before_death=lambda: None):
        """Count an operation that is about to happen, or die."""
        self._count += 1
        if self._count == self._kill_at:
            before_death()
            os.kill(os.getpid(), signal.SIGKILL)
        self.log("event", name)

    def _lines(self):
        return self._log.read_text().splitlines()

    def _watch(self, kill_at):
        self._count, self._kill_at = 0, kill_at
        descriptors = {}
        real_open, fsync = builtins.open, os.fsync

        def open_file(path, mode="r", *details, **more):
            new = "w" in mode and not os.path.exists(path)
            file = real_open(path, mode, *details, **more)
            if "w" not in mode:
                return file
            descriptors[file.fileno()] = os.fspath(path)
            if new:
                self.log("created", path)
            return _File(file, os.fspath(path), self)

        def open_descriptor(path, *details, **more):
            descriptor = _os_open(path, *details, **more)
            descriptors[descriptor] = os.fspath(path)
            return descriptor

        def sync(descriptor):
            self.event("fsync")
            fsync(descriptor)
            self.log("synced", descriptors[descriptor])

        def renaming(real):
            def rename(old, new):
                self.event("rename")
                real(old, new)
                self.log("renamed", old, new)

            return rename

        def counting(real, name):
            def call(*arguments, **more):
                self.event(name)
                return real(*arguments, **more)

            return call

        builtins.open, os.open, os.fsync = open_file, open_descriptor, sync
        for name in _RENAMES:
            setattr(os, name, renaming(getattr(os, name)))
        for name in _OTHERS:
            setattr(os, name, counting(getattr(os, name), name))


_os_open = os.open


@pytest.fixture
def disk(tmp_path_factory):
    if not hasattr(os, "fork"):
        pytest.skip("the child process is made by fork")
    return Disk(tmp_path_factory.mktemp("disk") / "log")


TEXT = "".join(f"{number} times {number} is {number * number}, and the rest is {number % 7}.\n" for number in range(60))


@pytest.fixture
def text_file(tmp_path):
    path = Path(tmp_path, "text.txt")
    path.write_text(TEXT, encoding="utf-8")
    return path
