"""What Linux says of the processor, and which of OpenBLAS's kernels suit it better than those it takes."""

from __future__ import annotations

from pathlib import Path

VARIABLE = "OPENBLAS_CORETYPE"
_NEEDED = {"avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"}


def cpuinfo() -> str:
    """Return what Linux says of the processor; nothing elsewhere."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def first_of(text: str) -> dict[str, str]:
    """Return the fields of the first processor in the text of /proc/cpuinfo."""
    lines = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}


def better_kernels(text: str) -> str | None:
    """Return the kernels that OpenBLAS should take and does not by itself, where that is sure.

    An AMD processor with the AVX-512 of Intel's Skylake servers runs the kernels made for these, but OpenBLAS may give
    it those for an older chip, with vectors half as long. Intel's own chips it knows.

    Args:
        text: of /proc/cpuinfo.

    Returns:
        The value for OPENBLAS_CORETYPE; None to leave the choice to OpenBLAS.
    """
    processor = first_of(text)
    amd = processor.get("vendor_id") == "AuthenticAMD"
    return "SKYLAKEX" if amd and set(processor.get("flags", "").split()) >= _NEEDED else None
