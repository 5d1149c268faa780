"""viz.latex: equations that are true, that LaTeX can set, and that no name can break."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tests.ops.test_notation import SCOPE
from tinygrad_rnn import nn, viz
from tinygrad_rnn.core.algebra import Writer, Written, in_order
from tinygrad_rnn.core.errors import CellError, ConfigError, TraceError
from tinygrad_rnn.core.latex.names import Symbol, Symbols, symbol, text
from tinygrad_rnn.core.latex.notation import Seed
from tinygrad_rnn.core.latex.parts import Handed
from tinygrad_rnn.core.notation import PYTHON
from tinygrad_rnn.core.tree import tree_flatten
from tinygrad_rnn.viz.latex import equations_of


class Minimal(nn.Cell):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.from_input = nn.Linear(input_size, 2 * hidden_size)
        self.from_state = nn.Linear(hidden_size, 2 * hidden_size, bias=False)

    def forward(self, x, h):
        z, n = np.split(self.from_input(x) + self.from_state(h), 2, axis=-1)
        z = tg.sigmoid(z)
        h = (1 - z) * h + z * np.tanh(n)
        return h, h


class Peephole(nn.Cell):
    """Two states, one of which is handed on unchanged for a step, an output of its own, and a joined input."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.joined = nn.Linear(input_size + hidden_size, hidden_size)
        self.peep = nn.Parameter(np.full(hidden_size, 0.3))

    def initial_state(self, batch_size):
        h = super().initial_state(batch_size)
        return {"h": h, "before": h}

    def forward(self, x, state):
        h, before = state["h"], state["before"]
        gate = tg.sigmoid(self.joined(np.concatenate([x, h], axis=-1)) + self.peep * before)
        new = gate * np.tanh(h + before) - 0.5 * x[:, :1] * gate**2
        return np.exp(-new) / 2, {"h": new, "before": h}


class Computed(nn.Cell):
    """Parameters that a step does not read as they are, with and without a name for what is read."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.weight = nn.Parameter(np.random.default_rng(0).normal(size=(hidden_size, input_size)))
        self.mixing = nn.Parameter(np.linspace(-1, 1, hidden_size))
        self.decay = nn.Parameter(np.linspace(0, 1, hidden_size))
        self.turned = nn.Parameter(np.random.default_rng(1).normal(size=(hidden_size, hidden_size)))

    def forward(self, x, h):
        a = np.exp(-np.exp(self.decay))
        mixed = tg.sigmoid(self.mixing * np.arange(1.0, self.hidden_size + 1))
        h = mixed * a * h + (1 - mixed) * np.tanh(x @ self.weight.T + h @ self.turned) + self.mixing
        return h - a, h


CELLS = {
    "RNN": lambda: nn.RNNCell(3, 4),
    "RNN with relu": lambda: nn.RNNCell(3, 4, nonlinearity="relu", bias=False),
    "LSTM": lambda: nn.LSTMCell(3, 4),
    "GRU": lambda: nn.GRUCell(3, 4),
    "GRU of the paper": lambda: nn.GRUCell(3, 4, reset_after=False),
    "minimal": lambda: Minimal(3, 4),
    "peephole": lambda: Peephole(3, 4),
    "computed": lambda: Computed(3, 4),
}
each_cell = pytest.mark.parametrize("make", CELLS.values(), ids=CELLS)


def equations(cell, batch=2):
    return viz.latex(cell, np.ones((batch, 3), np.float32), cell.initial_state(batch))


class Run:
    """Computes equations step by step, forward and backward, from their terms alone."""

    def __init__(self, found):
        self.found, self.known, self.handed, self.totals = found, {}, {}, {}
        for (shape, dtype, elements), own in found._names._constants.items():
            if isinstance(elements, bytes):
                self.known[self.key(own), None] = np.frombuffer(elements, dtype).reshape(shape)
        self.writer = Writer(PYTHON.notations, PYTHON.generic, self.leaf)

    @staticmethod
    def key(own):
        return own._replace(time=None).latex()

    def leaf(self, meant, spec):
        if isinstance(meant, Symbol):
            return Written(f"at({self.key(meant)!r}, {meant.time})")
        if isinstance(meant, Seed):
            return Written(f"ones({spec.shape})")
        return Written(f"handed({meant.number})") if isinstance(meant, Handed) else PYTHON.leaf(meant, spec)

    def value(self, term, t):
        def at(key, time):
            return self.known[key, None if time is None else t + time]

        sums = [part for part in in_order([term]) if part.operation == "over_time"]
        for part in sums:
            if (part, t) not in self.totals:
                self.totals[part, t] = self.totals.get((part, t + 1), 0) + self.value(part.operands[0], t)
        names = {part: Written(f"totals[{i}]") for i, part in enumerate(sums)}
        if term in names:
            return self.totals[term, t]
        scope = {
            "at": at,
            "handed": lambda k: self.handed.get(k, 0.0),
            "totals": [self.totals[part, t] for part in sums],
        }
        found = eval(self.writer.written(term, names).text, {**SCOPE, **scope})
        return np.broadcast_to(found.data if isinstance(found, tg.Tensor) else found, term.spec.shape)

    def compute(self, equations, t):
        for one in equations:
            value = self.value(one.term, t)
            parts = np.split(value, len(one.symbols), axis=-1) if len(one.symbols) > 1 else [value]
            for own, part in zip(one.symbols, parts, strict=True):
                self.known[self.key(own), t if own.time is not None else None] = part

    def back(self, t):
        self.compute(self.found.backward, t)
        self.handed = {k: self.value(term, t) for k, term in self.found.handed.items()}


@each_cell
def test_the_equations_computed_step_by_step_give_the_gradients(make):
    rng = np.random.default_rng(0)
    cell = make().astype(np.float64)
    steps, batch = 3, 2
    xs = [tg.Tensor(rng.normal(size=(batch, 3)), requires_grad=True) for _ in range(steps)]
    state = cell.initial_state(batch)
    found = equations_of(cell, xs[0], state)
    run = Run(found)
    names = found._names
    parameters = {parameter.node: parameter for parameter in cell.parameters()}
    captured = zip(found._step.constants, found._step.captured, strict=True)
    stands_for = {node: origin for node, origin in captured if not isinstance(origin, np.ndarray)}
    for (node, slot), own in names.symbols.items():
        if stands_for.get(node) in parameters:
            run.known[Run.key(own), None] = parameters[stands_for[node]].data
        elif node in found._step.carry:
            run.known[Run.key(own), -1] = np.zeros(node.specs[slot].shape)
    (x_symbol,) = [own for (node, _), own in names.symbols.items() if node in found._step.xs]

    loss, weights = 0.0, []
    for t, x in enumerate(xs):
        y, state = cell(x, state)
        weights.append(rng.normal(size=y.shape))
        loss = loss + np.sum(y * weights[t])
        run.known[Run.key(x_symbol), t] = x.data
        run.known[r"\Delta", t] = weights[t]
        run.compute(found.forward, t)
    loss.backward()
    for t in reversed(range(steps)):
        run.back(t)

    for k, leaf in enumerate(tree_flatten(state)[0]):
        after = names.symbols.get(found._step.next_carry[k])
        own = names.moved.get(k, after)
        np.testing.assert_allclose(run.known[Run.key(own), steps - 1], leaf.data, rtol=1e-12)
    for t, x in enumerate(xs):
        np.testing.assert_allclose(run.known[rf"\delta {Run.key(x_symbol)}", t], x.grad, rtol=1e-9, atol=1e-12)
    for node, origin in stands_for.items():
        key = rf"\delta {Run.key(names.symbols[node, 0])}"
        np.testing.assert_allclose(run.known[key, None], parameters[origin].grad, rtol=1e-9, atol=1e-12)
    assert len(stands_for) == len(parameters)


def test_the_equations_of_an_lstm_are_those_of_a_textbook_in_the_names_of_its_author():
    lines = equations(nn.LSTMCell(3, 4)).splitlines()
    assert r"c_{t} &= \sigma(f_{t}) \odot c_{t-1} + \sigma(i_{t}) \odot \tanh(g_{t}) \\" in lines
    assert r"h_{t} &= \sigma(o_{t}) \odot \tanh(c_{t}) \\[2ex]" in lines
    assert r"\delta f_{t} &= \delta c_{t} \odot c_{t-1} \odot \sigma(f_{t}) \odot (1 - \sigma(f_{t})) \\" in lines
    assert lines[1].startswith(r"\begin{bmatrix} i_{t} & f_{t} & g_{t} & o_{t} \end{bmatrix} &= x_{t} W_{\text{from")


def test_what_would_be_written_many_times_gets_a_line_of_its_own():
    lines = equations(nn.RNNCell(3, 4)).splitlines()
    assert r"h_{t} &= \tanh(a_{t}) \\[2ex]" in lines
    assert r"\delta a_{t} &= \delta h_{t} \odot (1 - h_{t}^{2}) \\" in lines
    assert r"\delta b_{\text{from\_input}} &= \sum_{t} \mathbf{1}^{\top} \delta a_{t} \\" in lines


def test_of_two_values_of_one_name_the_first_gets_an_accent():
    found = equations(Minimal(3, 4))
    assert r"\begin{bmatrix} \tilde{z}_{t} & n_{t} \end{bmatrix} &=" in found
    assert r"z_{t} &= \sigma(\tilde{z}_{t}) \\" in found


def test_long_equations_are_broken_at_their_sums():
    lines = equations(nn.GRUCell(3, 4, reset_after=False)).splitlines()
    assert any(line.startswith(r"&\quad + \begin{bmatrix}") for line in lines)


def test_a_state_that_does_not_matter_and_a_constant_are_no_trouble():
    def step(x, state):
        h = state[0]
        gate = np.tanh(x * np.array([[1.0, 2.0, 3.0]]))
        h = np.where(gate > 0, gate, 0.1 * h) + np.ones((1, 3))
        return h, (h, gate)

    found = viz.latex(step, np.ones((1, 3)), (np.ones((1, 3)), np.ones((1, 3))))
    assert r"\begin{cases} \mathit{gate}_{t} & \text{if } \mathit{gate}_{t} > 0 \\" in found
    assert r"\mathbf{C}_{1,3}" in found and r"+ \mathbf{1}" in found
    assert r"\Delta_{t}" in found


def test_examples_and_steps_that_are_none_are_refused_by_name():
    cell = nn.RNNCell(3, 4)
    with pytest.raises(ConfigError, match="str 'x' in an example"):
        viz.latex(cell, "x", np.ones((1, 4)))
    with pytest.raises(CellError, match="return a pair"):
        viz.latex(lambda x, h: x, np.ones(3), np.ones(3))
    with pytest.raises(CellError, match="the state"):
        viz.latex(lambda x, h: (x, x), np.ones(3), np.ones(4))
    with pytest.raises(TraceError):
        viz.latex(lambda x, h: (x, h * float(np.sum(h))), np.ones(3), np.ones(3))


@given(st.text(max_size=60))
def test_every_name_becomes_text_that_latex_can_set(name):
    found = text(name)
    assert found.isascii() and found.isprintable()
    bare = re.sub(r"\\(textbackslash|textless|textgreater|textbar)\{\}|\\[\^~]\{\}|\\[_{}$&#%]|\{-\}", "", found)
    assert not set(bare) & set('\\{}$&#%_^~<>|"`')


@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=20))
def test_different_values_never_look_the_same(names):
    symbols = Symbols()
    found = [symbols.new(symbol(name, 0)).latex() for name in names]
    assert len(set(found)) == len(found)


SIGNS = ["a_b", r"\input{x}", "50%", "$x$", "{", "}", "a&b", "#1", "^^41", "~", "<", '"', "`", "|", "-"]
HOSTILE = [*SIGNS, "é", "变", "\n", "\x00", "\ud800", "λ", "x" * 10_000, "a.b.weight", ".", "_", "^", "1", "None"]


def hostile_equations():
    """Return the equations of a step whose parameters have names as bad as can be."""
    weights = [tg.Tensor(np.ones((3, 3)), requires_grad=True, name=name) for name in HOSTILE]

    def step(x, h_prev):
        total_ = h_prev
        for weight in weights:
            total_ = np.maximum(total_ @ weight, abs(x)) * 1e-7
        λ = np.sqrt(np.sum(total_, axis=-1, keepdims=True)) / np.mean(x) + np.array([[np.inf, np.nan, 0.5]])
        変 = np.einsum("ij,kj->ik", λ, total_)[:, None, 0] + np.log(λ[..., :1])
        return 変, total_**-λ

    return viz.latex(step, np.ones((1, 3)), np.ones((1, 3)))


def set_by_latex(documents, folder):
    """Return what pdflatex says of a page with some documents."""
    head = r"\documentclass{article}\usepackage{amsmath}\allowdisplaybreaks\begin{document}"
    (folder / "all.tex").write_text("\n".join([head, *documents, r"\end{document}"]), encoding="ascii")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "all.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


with_pdflatex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")


@with_pdflatex
def test_latex_sets_the_equations_of_every_cell_on_a_standard_page(tmp_path):
    assert "Overfull" not in set_by_latex([equations(make()) for make in CELLS.values()], tmp_path)


@with_pdflatex
def test_latex_sets_equations_whatever_things_are_called(tmp_path):
    set_by_latex([hostile_equations()], tmp_path)


def test_mathml_can_be_made_of_all_equations():
    converter = pytest.importorskip("latex2mathml.converter", reason="latex2mathml reads LaTeX without a TeX system")
    for document in [*[equations(make()) for make in CELLS.values()], hostile_equations()]:
        assert converter.convert(document).startswith("<math")


def test_the_page_of_equations_shows_what_latex_returns():
    page = (Path(__file__).resolve().parents[2] / "docs" / "cell-equations.md").read_text("utf-8")
    shown = re.findall(r"```math\n(.*?)\n```", page, re.DOTALL)
    cells = [equations(CELLS[name]()) for name in ("RNN", "LSTM", "GRU", "minimal")]
    weight = tg.Tensor(np.ones((3, 2)), requires_grad=True, name="weight")
    guess = np.tanh(np.linspace(0, 1, 12).reshape(4, 3) @ weight)
    guess.name = "guess"
    loss = np.mean((guess - np.arange(8).reshape(4, 2)) ** 2)
    assert shown == [*cells, tg.Graph.of(loss).latex()]
