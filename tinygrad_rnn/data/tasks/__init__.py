"""Tasks for recurrent networks, each with its baseline by arithmetic, its criterion for a solution, and its source."""

from .addition import DigitAddition
from .base import Batch, Score, Task
from .chorales import JSBChorales, Nottingham, PianoRolls
from .copying import CopyMemory
from .counting import AnBn, AnBnCn
from .digits import SequentialDigits
from .dyck import Dyck
from .finite import FiniteTask
from .kinds import Classification, LegalSymbols, MultiLabel, NextSymbol, Regression
from .lag import LongLag
from .marked import Adding, Multiplication
from .names import Names
from .order import TemporalOrder
from .parity import Parity
from .reber import ContinualReber, EmbeddedReber
from .series import Sunspots
from .text import CharacterText

__all__ = [
    "Adding",
    "AnBn",
    "AnBnCn",
    "Batch",
    "CharacterText",
    "Classification",
    "ContinualReber",
    "CopyMemory",
    "DigitAddition",
    "Dyck",
    "EmbeddedReber",
    "FiniteTask",
    "JSBChorales",
    "LegalSymbols",
    "LongLag",
    "MultiLabel",
    "Multiplication",
    "Names",
    "NextSymbol",
    "Nottingham",
    "Parity",
    "PianoRolls",
    "Regression",
    "Score",
    "SequentialDigits",
    "Sunspots",
    "Task",
    "TemporalOrder",
]
