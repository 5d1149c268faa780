"""The program of a process that does jobs: it reads a job a line, and writes progress and results, a line each."""

from __future__ import annotations

import json
import os
import sys
import warnings
from typing import Any, TextIO

from .jobs import job_of, perform


def serve(jobs: TextIO, answers: TextIO) -> None:
    """Do jobs until there are no more.

    Args:
        jobs: `Job.message` as JSON, one a line.
        answers: gets {"progress": share} and {"result": …} as JSON, one a line.

    Example:
        >>> import io
        >>> from tinygrad_rnn.lab.worker import serve
        >>> answers = io.StringIO()
        >>> job = '{"kind": "pace", "cells": [["A", "a.py:A", {}]], "task": null, "settings": {}}'
        >>> serve(io.StringIO(job), answers)
        >>> "there is no file" in answers.getvalue()
        True
    """

    def say(**words: Any) -> None:
        answers.write(json.dumps(words) + "\n")
        answers.flush()

    for line in jobs:
        try:
            job = job_of(json.loads(line))
        except Exception as error:
            say(result={"failure": f"{type(error).__name__}: {error}"})
            continue
        say(result=perform(job, lambda share: say(progress=share)))


def main() -> None:
    """Serve on standard input and output, on one core; what a user's file prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    os.cpu_count = lambda: 1  # The engine `native` takes a thread for each core, and the other jobs need theirs.
    warnings.simplefilter("ignore")
    try:
        serve(sys.stdin, answers)
    except BrokenPipeError:  # Whoever asked is gone.
        os._exit(1)


if __name__ == "__main__":
    main()
