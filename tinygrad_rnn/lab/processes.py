"""Processes that do jobs side by side: one that dies takes its own job along, and no other."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .jobs import Job, Result, perform

# Tells a file that is imported by such a process that it is: `lab.run` refuses to begin there.
WORKING = "TINYGRAD_RNN_LAB_WORKER"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
# Seconds that a job may take at least; otherwise so many times what was expected, since the machine may be busy.
LEAST_LIMIT, _TIMES_EXPECTED = 120.0, 20.0


class Event(NamedTuple):
    """What is heard of a job.

    Args:
        job: the job.
        share: of it that is done.
        result: what came of it; None until it is done.
    """

    job: Job
    share: float
    result: Result | None


def done(jobs: Sequence[Job], processes: int) -> Iterator[Event]:
    """Do jobs and tell how they go on, as it happens.

    Jobs whose classes have no file are done in this process, one after the other.

    Args:
        jobs: are begun in this order.
        processes: how many at a time.
    """
    if all(job.are_importable for job in jobs):
        yield from _elsewhere(jobs, min(processes, len(jobs)))
        return
    for job in jobs:
        yield Event(job, 1.0, perform(job))


def _elsewhere(jobs: Sequence[Job], processes: int) -> Iterator[Event]:
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    events: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()
    lanes = [_Lane(waiting, events) for _ in range(processes)]
    try:
        for lane in lanes:
            lane.start()
        left = len(jobs)
        while left:
            event = events.get()
            if isinstance(event, BaseException):
                raise event
            left -= event.result is not None
            yield event
    finally:
        for lane in lanes:
            lane.stop()
        for lane in lanes:
            if lane.ident is not None:
                lane.join()


class _Lane(threading.Thread):
    """A thread that hands jobs to a process of its own, and starts another one where that dies."""

    def __init__(self, waiting: queue.SimpleQueue[Job], events: queue.SimpleQueue[Event | BaseException]) -> None:
        super().__init__(daemon=True)
        self._waiting, self._events = waiting, events
        self._process: subprocess.Popen[str] | None = None
        self._stopped = threading.Event()

    def run(self) -> None:
        """Do jobs until none is waiting."""
        try:
            while not self._stopped.is_set():
                job = self._waiting.get_nowait()
                self._events.put(Event(job, 1.0, self._result_of(job)))
        except queue.Empty:
            pass
        except BaseException as error:
            self._events.put(error)
        finally:
            self.stop()
            self._close()

    def stop(self) -> None:
        """End the process, in whatever it is doing; the thread ends after it."""
        self._stopped.set()
        if self._process is not None:
            self._process.kill()

    def _close(self) -> None:
        """Take leave of a process that has ended."""
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(BrokenPipeError):  # of a job that it did not read
                    pipe.close()  # type: ignore[union-attr]
            self._process.wait()
            self._process = None

    def _result_of(self, job: Job) -> Result:
        if self._process is None or self._process.poll() is not None:
            self._close()
            self._process = _started()
            if self._stopped.is_set():
                self._process.kill()
        process, late = self._process, threading.Event()
        assert process.stdin is not None and process.stdout is not None
        limit = max(LEAST_LIMIT, _TIMES_EXPECTED * job.work)

        def end() -> None:
            late.set()
            process.kill()

        alarm = threading.Timer(limit, end)
        alarm.start()
        try:
            process.stdin.write(json.dumps(job.message()) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                answer: dict[str, Any] = json.loads(line)
                if "result" in answer:
                    result: Result = answer["result"]
                    return result
                self._events.put(Event(job, answer["progress"], None))
        except BrokenPipeError:
            pass
        finally:
            alarm.cancel()
        code = process.wait()
        how = f"was ended, since it took longer than {limit:.0f} s" if late.is_set() else f"ended {_how(code)}"
        return {"failure": f"its process {how}"}


def _started() -> subprocess.Popen[str]:
    root = str(Path(__file__).resolve().parents[2])
    environment = {
        **os.environ,
        **dict.fromkeys(_THREADS, "1"),
        WORKING: "1",
        "PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tinygrad_rnn.lab.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        text=True,
        encoding="utf-8",
        start_new_session=True,  # Ctrl-C is for the process that prints; it ends the others itself.
    )


def _how(code: int) -> str:
    """Return how a process ended, in words."""
    if code >= 0:
        return f"by itself, with the code {code}"
    try:
        return f"by the signal {signal.Signals(-code).name}"
    except ValueError:
        return f"by the signal {-code}"
