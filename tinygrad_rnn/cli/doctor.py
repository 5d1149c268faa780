"""What the command `tinygrad-rnn doctor` says: what was found on this machine, how fast it is, and what would help."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from importlib import metadata
from typing import Any

import numpy as np
import threadpoolctl  # type: ignore[import-untyped]

from ..scan.engines import available
from .kernels import VARIABLE, better_kernels, cpuinfo, first_of

EXTRAS = ("llvmlite", "pygraphviz", "torch", "jax", "autograd", "mygrad", "hypothesis")
SIZE = 512
SURE = 1.3

# Those of OpenBLAS that use AVX-512.
_WIDE = ("SkylakeX", "Cooperlake", "SapphireRapids")
_VECTORS = re.compile(r"sse4_[12]|avx|avx2|fma|f16c|avx512\w*|avx_\w+|amx_\w+|asimd\w*|sve\w*|neon")
_MEASURE = "from tinygrad_rnn.cli.doctor import product_speed; print(product_speed())"


def examine(text: str | None = None, seconds: float = 1.0) -> dict[str, Any]:
    """Return all that is found, as a nest that JSON can hold.

    Args:
        text: of /proc/cpuinfo; None reads it, where there is one.
        seconds: for which products are measured.

    Returns:
        "python", "numpy", "blas" (None where threadpoolctl knows it not), "cpu", "engines", "layout", "extras",
        "gflops" (float32, one thread), and "advice", a list of sentences.

    Example:
        >>> from tinygrad_rnn.cli.doctor import examine
        >>> examine(seconds=0.01)["engines"][:2]
        ['eager', 'numpy']
    """
    text = cpuinfo() if text is None else text
    speed = product_speed(seconds)
    found: dict[str, Any] = {
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "numpy": np.__version__,
        "blas": _blas(),
        "cpu": _cpu(text),
        "engines": available(),
        "layout": _layout(),
        "extras": _extras(),
        "gflops": round(speed, 1),
    }
    return {**found, "advice": [*_kernel_advice(found, text, speed), *_extra_advice(found)]}


def product_speed(seconds: float = 1.0) -> float:
    """Return the GFLOP/s of a float32 product of square matrices on one thread, the best of many.

    Args:
        seconds: for which it is repeated; at least one product is taken.

    Source: a product of n x n matrices takes 2 n³ operations.

    Example:
        >>> from tinygrad_rnn.cli.doctor import product_speed
        >>> product_speed(0.01) > 0
        True
    """
    a = np.full((SIZE, SIZE), 0.5, np.float32)
    out = np.empty_like(a)
    best = float("inf")
    with threadpoolctl.threadpool_limits(limits=1, user_api="blas"):
        end = time.perf_counter() + seconds
        while best == float("inf") or time.perf_counter() < end:
            begun = time.perf_counter()
            np.matmul(a, a, out=out)
            best = min(best, time.perf_counter() - begun)
    return 2 * SIZE**3 / best / 1e9


def as_json(found: dict[str, Any]) -> str:
    """Return what `examine` found as JSON.

    Example:
        >>> from tinygrad_rnn.cli.doctor import as_json
        >>> as_json({"layout": None})
        '{\\n  "layout": null\\n}'
    """
    return json.dumps(found, indent=2, ensure_ascii=False)


def as_text(found: dict[str, Any]) -> str:
    """Return what `examine` found in a few lines, the advice last.

    Example:
        >>> from tinygrad_rnn.cli.doctor import as_text, examine
        >>> as_text(examine(seconds=0.01)).splitlines()[1].split()[0]
        'NumPy'
    """
    blas, cpu = found["blas"], found["cpu"]
    products = "unknown"
    if blas is not None:
        products = f"{blas['name']} {blas['version'] or ''}, threads: {blas['threads']}"
        products += f", kernels for {blas['kernels']}" if blas["kernels"] else ""
    extras = [f"{name} {version}" for name, version in found["extras"].items()]
    rows = {
        "Python": found["python"],
        "NumPy": found["numpy"],
        "BLAS": products,
        "CPU": f"{cpu['model']}, cores: {cpu['cores']}",
        "Vectors": " ".join(cpu["vectors"]) or "unknown",
        "Engines": ", ".join(found["engines"]),
        "Layout": found["layout"] or "none",
        "Extras": ", ".join(extras) or "none",
        "Product": f"{found['gflops']} GFLOP/s (float32, {SIZE} x {SIZE} x {SIZE}, one thread)",
    }
    lines = [f"{name:<9}{value}" for name, value in rows.items()]
    return "\n".join([*lines, "", *(found["advice"] or ["Nothing to set and nothing missing."])])


def _blas() -> dict[str, Any] | None:
    """Return the BLAS that NumPy has loaded."""
    for pool in threadpoolctl.threadpool_info():
        if pool["user_api"] == "blas":
            return {
                "name": pool["internal_api"],
                "version": pool["version"],
                "kernels": pool.get("architecture"),
                "threads": pool["num_threads"],
            }
    return None


def _cpu(text: str) -> dict[str, Any]:
    """Return the processor's name, its cores that this process may use, and its vector instructions."""
    processor = first_of(text)
    words = (processor.get("flags") or processor.get("Features") or "").split()
    if not words:
        extensions: Any = np.show_config(mode="dicts")
        words = [word.lower() for word in extensions.get("SIMD Extensions", {}).get("found", [])]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "model": processor.get("model name") or platform.processor() or platform.machine(),
        "cores": cores,
        "vectors": [word for word in words if _VECTORS.fullmatch(word)],
    }


def _layout() -> str | None:
    """Return what lays pictures out, in the order in which they try."""
    if shutil.which("dot"):
        return "dot"
    return "pygraphviz" if importlib.util.find_spec("pygraphviz") else None


def _extras() -> dict[str, str]:
    found = {}
    for name in EXTRAS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _kernel_advice(found: dict[str, Any], text: str, speed: float) -> list[str]:
    """Say what kernels OpenBLAS should be told to take, measured in processes that begin with the one or the other."""
    blas = found["blas"]
    if blas is None or blas["name"] != "openblas" or "avx512f" not in found["cpu"]["vectors"]:
        return []
    chosen = os.environ.get(VARIABLE)
    if chosen == better_kernels(text) and chosen is not None:
        before = _speed_of_process(None)
        gain = f": {speed / before:.1f} times faster here" if before and speed >= SURE * before else ""
        return [
            f"{VARIABLE}={chosen} is set{gain}. On this chip the command sets it for itself; for programs of your own, "
            "set it before Python starts."
        ]
    if blas["kernels"] is None or blas["kernels"] in _WIDE:
        return []
    advice = f"set {VARIABLE}=SKYLAKEX before Python starts"
    older = f"OpenBLAS has taken the kernels for {blas['kernels']}, an older chip than this one"
    after = _speed_of_process("SKYLAKEX")
    if after is None:
        return [f"{older}; {advice}, and compare."]
    if after >= SURE * speed:
        return [f"{older}; {advice}: {after / speed:.1f} times faster here ({after:.1f} GFLOP/s)."]
    return [f"{older}; those for SKYLAKEX are hardly faster here ({after:.1f} GFLOP/s), so there is nothing to set."]


def _speed_of_process(kernels: str | None) -> float | None:
    """Return the speed of products in a process that begins with these kernels; None where that cannot be measured."""
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    if kernels is not None:
        environment[VARIABLE] = kernels
    try:
        done = subprocess.run(
            [sys.executable, "-c", _MEASURE], env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        return float(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _extra_advice(found: dict[str, Any]) -> list[str]:
    advice = []
    if "llvmlite" not in found["extras"]:
        advice.append("pip install 'tinygrad_rnn[fast]' brings the engine that compiles loops to machine code.")
    if found["layout"] is None:
        advice.append("pip install 'tinygrad_rnn[viz]' brings a program that lays pictures out.")
    return advice
