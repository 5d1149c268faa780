"""A real time series: the yearly numbers of sunspots."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ...core.errors import DataError
from ..checks import integer
from .base import Batch, Score, Split, check_held_out
from .kinds import Regression

_FIRST_YEAR, _END = 1700, {"train": 1921, "validation": 1956, "test": 1980}


@lru_cache(maxsize=1)
def sunspots_of_years() -> NDArray[np.float64]:
    """Return the yearly numbers of sunspots from 1700 to 1979.

    Raises:
        DataError: if statsmodels is not installed.
    """
    try:
        from statsmodels.datasets import sunspots
    except ImportError:
        raise DataError(
            "the sunspots come with statsmodels, which is not installed; write pip install 'tinygrad_rnn[tasks]'"
        ) from None
    return np.asarray(sunspots.load().data["SUNACTIVITY"], np.float64)[: _END["test"] - _FIRST_YEAR]


class Sunspots(Regression):
    """The sunspots of the next year, from those of all years before.

    Windows of the years 1700 to 1920 are to train on, the years 1921 to 1955 are predicted for validation, 1956 to 1979
    for test, each from the state after all earlier years. Numbers go in as the deviation from the mean of training, in
    its standard deviations; the error is the squared error in units of the variance of all 280 years (the average
    relative variance). The baseline predicts the mean of training. Solved is to do better than Yule's autoregression on
    the last two years, fitted to training by least squares.

    References: Weigend et al. 1990 report 0.086 for 1921 to 1955 and 0.35 for 1956 to 1979, by a network that sees
    twelve years.

    Args:
        window: years of a training sequence.

    Raises:
        DataError: if statsmodels is not installed.

    Source: Yule 1927, *On a method of investigating periodicities in disturbed series*; Weigend et al. 1990,
        *Predicting the future: a connectionist approach*.

    Example:
        >>> from tinygrad_rnn.data import tasks
        >>> next(tasks.Sunspots(window=60).batches(size=16)).x.shape  # doctest: +SKIP
        (60, 16, 1)
    """

    input_size = output_size = 1
    every_step = True
    measures = "squared error over the variance of the series"
    source = "Yule 1927; Weigend et al. 1990"
    held_out_size = 1

    def __init__(self, window: int = 60) -> None:
        self.window = integer("window", window, least=2)
        numbers = sunspots_of_years()
        self._years = {split: end - _FIRST_YEAR for split, end in _END.items()}
        known = numbers[: self._years["train"]]
        if self.window >= len(known):
            raise DataError(f"window is {window}; give at most {len(known) - 1}, the years of training less one")
        self._series = ((numbers - known.mean()) / known.std()).astype(np.float32)
        self._variance = float(numbers.var() / known.var())
        self.threshold = self._autoregression()

    def batch(self, rng: np.random.Generator, size: int, split: Split) -> Batch:
        """Return windows (window, size, 1) of the years of training, and the years after each."""
        starts = rng.integers(0, self._years["train"] - self.window, size)
        block = self._series[starts + np.arange(self.window + 1)[:, None], None]
        return Batch(block[:-1], block[1:])

    def held_out(self, split: Split) -> list[Batch]:
        """Return the whole series up to the end of the split, of which the split's own years count."""
        check_held_out(split)
        first, end = self._span(split)
        block = self._series[:end, None, None]
        counted = np.arange(1, end)[:, None] >= first
        return [Batch(block[:-1], block[1:], counted=counted)]

    def errors(self, outputs: NDArray[np.floating], batch: Batch) -> NDArray[np.float64]:
        """Return the squared errors, in units of the variance of the whole series."""
        return super().errors(outputs, batch) / self._variance

    def baseline(self) -> Score:
        """Return the mean square of the test's years, which are deviations from the mean of training."""
        first, end = self._span("test")
        loss = float(np.square(self._series[first:end], dtype=np.float64).mean())
        return Score(loss, loss / self._variance)

    def _autoregression(self) -> float:
        """Return the error over the test of the regression on the last two years."""
        series = self._series.astype(np.float64)
        lags = np.stack([series[1:-1], series[:-2], np.ones(len(series) - 2)], -1)
        known = self._years["train"] - 2
        coefficients = np.linalg.lstsq(lags[:known], series[2:][:known], rcond=None)[0]
        first, end = self._span("test")
        residuals = (series[2:] - lags @ coefficients)[first - 2 : end - 2]
        return float(np.square(residuals).mean()) / self._variance

    def _span(self, split: Split) -> tuple[int, int]:
        return self._years["train" if split == "validation" else "validation"], self._years[split]
