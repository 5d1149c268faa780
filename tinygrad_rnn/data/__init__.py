"""Corpora and batches: vocabularies, streams of text, padded sequences, splits, public data sets."""

from . import tasks
from .datasets import fetch, python_manual
from .sequences import PaddedBatches, pad, padded_batches
from .splits import shuffled, split_text, train_validation_split
from .text import CharVocabulary, Streams, read_text

__all__ = [
    "CharVocabulary",
    "PaddedBatches",
    "Streams",
    "fetch",
    "pad",
    "padded_batches",
    "python_manual",
    "read_text",
    "shuffled",
    "split_text",
    "tasks",
    "train_validation_split",
]
