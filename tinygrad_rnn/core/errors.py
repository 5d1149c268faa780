"""The named errors: each says what was found, what was expected and what to write instead."""


class TinygradRNNError(Exception):
    """The base of every error that this package raises on purpose."""


class ShapeError(TinygradRNNError, ValueError):
    """Shapes that do not fit an operation, or a layer's declared sizes."""


class DtypeError(TinygradRNNError, TypeError):
    """A dtype that an operation cannot take, such as an integer tensor that requires grad."""


class FreedGraphError(TinygradRNNError, RuntimeError):
    """A backward pass through a graph whose saved arrays an earlier pass has freed."""


class CotangentError(TinygradRNNError, ValueError):
    """A backward pass without the cotangent it needs, or with one of another shape."""


class ConversionError(TinygradRNNError, RuntimeError):
    """A conversion to an array that would drop a tensor's graph in silence."""


class ImmutableError(TinygradRNNError, TypeError):
    """An attempt to change a tensor's value in place."""


class NoRuleError(TinygradRNNError, TypeError):
    """A NumPy function, or a keyword of one, that has no rule for tensors."""


class NonFiniteError(TinygradRNNError, FloatingPointError):
    """A NaN or an infinity found in debug mode."""


class GraphError(TinygradRNNError, RuntimeError):
    """A graph that lacks what was asked of it, or that breaks an invariant."""


class TraceError(TinygradRNNError, RuntimeError):
    """A step that cannot be traced: it asks for a value that is not known yet, or draws random numbers."""


class GradcheckError(TinygradRNNError, AssertionError):
    """A gradient rule that disagrees with central differences."""


class CellError(TinygradRNNError, TypeError):
    """A recurrent cell that breaks the protocol of cells."""


class CellCheckError(TinygradRNNError, AssertionError):
    """A check of `testing.check_cell` that a cell fails."""


class StateDictError(TinygradRNNError, ValueError):
    """Names or shapes of saved arrays that do not fit a module."""


class CheckpointError(TinygradRNNError, RuntimeError):
    """A checkpoint that is damaged or missing."""


class DataError(TinygradRNNError, ValueError):
    """A corpus, vocabulary, batch or sequence that cannot be used."""


class ConfigError(TinygradRNNError, ValueError):
    """An option or argument whose value is outside its range."""
