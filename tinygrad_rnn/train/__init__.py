"""Training: the loop, its callbacks, checkpoints, runs, and the character language model of the command."""

from .callbacks import Evaluate, Metrics, Picture, Progress, Sample, SaveCheckpoint
from .cells import import_cell
from .checkpoint import Checkpoint, CheckpointFolder, CheckpointWarning
from .config import Config
from .language import begin, resume
from .loop import Callback, Trainer, evaluate
from .model import CharModel
from .recorder import Recorder
from .run import Run

__all__ = [
    "Callback",
    "CharModel",
    "Checkpoint",
    "CheckpointFolder",
    "CheckpointWarning",
    "Config",
    "Evaluate",
    "Metrics",
    "Picture",
    "Progress",
    "Recorder",
    "Run",
    "Sample",
    "SaveCheckpoint",
    "Trainer",
    "begin",
    "evaluate",
    "import_cell",
    "resume",
]
