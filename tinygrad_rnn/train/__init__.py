"""Training: the loop, its callbacks, checkpoints, runs, the command's character language model, and trials of tasks."""

from .callbacks import Evaluate, Metrics, Picture, Progress, Sample, SaveCheckpoint
from .cells import import_cell
from .checkpoint import Checkpoint, CheckpointFolder, CheckpointWarning
from .config import Config
from .language import begin, resume
from .loop import Callback, Trainer, evaluate
from .model import CharModel
from .recorder import Recorder
from .run import Run
from .tasks import Point, TaskModel, Trial, score, solve

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
    "Point",
    "Progress",
    "Recorder",
    "Run",
    "Sample",
    "SaveCheckpoint",
    "TaskModel",
    "Trainer",
    "Trial",
    "begin",
    "evaluate",
    "import_cell",
    "resume",
    "score",
    "solve",
]
