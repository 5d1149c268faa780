"""Colah's "Deep Learning, NLP, and Representations": a network with the shape of the sentence it reads.

One learns what a recursive network is. The sentences are formulas in brackets, such as (xor T (and F T) (not F)); each
has a graph of its own, in which a child-sum Tree-LSTM goes from the leaves to the root and says whether the formula is
true. Beside it an LSTM reads the same brackets from left to right, with as many parameters and the same embeddings;
the one that always gives the more frequent answer needs no network. Formulas deeper than any in training tell what was
learnt: what an operator does, or what short formulas look like.

One also learns what a representation is. Only the truth of whole formulas is ever given. Then the read-out made for
roots is asked at every node inside of formulas it has never seen: what a part is true of stands there too.

Source: C. Olah, "Deep Learning, NLP, and Representations", 2014, which gives no figures; the cell is that of Tai et al.
2015, the task is like those of Bowman et al. 2015, "Tree-structured composition in neural networks without
tree-structured architectures", and of Nangia & Bowman 2018, "ListOps".

    python examples/trees.py          # three seeds, some minutes
    python examples/trees.py --quick  # seconds, smaller
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
from checks import Checks, wants_quick

import tinygrad_rnn as tg
from tinygrad_rnn import data, nn, optim

TOKENS = ("F", "T", "not", "and", "or", "xor", "(", ")")
RULES = {"not": lambda values: not values[0], "and": all, "or": any, "xor": lambda values: sum(values) % 2 == 1}
BATCH, EMBEDDING = 32, 16


class Formula(NamedTuple):
    """A formula as a tree and as text, with the truth of every part of it.

    Args:
        tokens: the number of each node's operator or truth value, (nodes,); the root comes first.
        parents: the number of each node's parent, -1 for the root, (nodes,).
        truths: of the part below each node, (nodes,).
        brackets: the same as text, the numbers of its tokens.
    """

    tokens: np.ndarray
    parents: np.ndarray
    truths: np.ndarray
    brackets: np.ndarray


def formula(depth: int, rng: np.random.Generator) -> Formula:
    """Draw a formula whose longest path from the root to a leaf has `depth` operators."""
    tokens: list[str] = []
    parents: list[int] = []
    truths: list[bool] = []
    words: list[str] = []

    def grow(parent: int, depth: int) -> bool:
        node = len(tokens)
        parents.append(parent)
        truths.append(False)
        if depth == 0:
            tokens.append(str(rng.choice(["F", "T"])))
            words.append(tokens[node])
            truths[node] = tokens[node] == "T"
        else:
            tokens.append(str(rng.choice(list(RULES))))
            words.extend(["(", tokens[node]])
            depths = rng.integers(0, depth, 1 if tokens[node] == "not" else rng.integers(2, 4))
            depths[rng.integers(len(depths))] = depth - 1
            truths[node] = bool(RULES[tokens[node]]([grow(node, below) for below in depths]))
            words.append(")")
        return truths[node]

    grow(-1, depth)
    number = {token: i for i, token in enumerate(TOKENS)}
    return Formula(
        np.array([number[token] for token in tokens]),
        np.array(parents),
        np.array(truths, int),
        np.array([number[word] for word in words]),
    )


def formulas(count: int, depths: tuple[int, ...], seed: int) -> list[Formula]:
    """Draw formulas of several depths, no text twice."""
    rng, found = np.random.default_rng(seed), {}
    while len(found) < count:
        drawn = formula(int(rng.choice(depths)), rng)
        found.setdefault(drawn.brackets.tobytes(), drawn)
    return list(found.values())


class TreeModel(nn.Module):
    """A vector for each token, a Tree-LSTM over the trees, two scores at every node."""

    name = "Tree-LSTM"

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(TOKENS), EMBEDDING)
        self.tree = nn.ChildSumTreeLSTM(EMBEDDING, hidden)
        self.scores = nn.Linear(hidden, 2)

    def everywhere(self, rows: list[Formula]):
        """Return the scores at all nodes of all formulas, (nodes, 2), and which nodes are roots."""
        starts = np.cumsum([0, *[len(row.tokens) for row in rows[:-1]]])
        parents = [np.where(row.parents < 0, -1, row.parents + start) for row, start in zip(rows, starts, strict=True)]
        h, _ = self.tree(self.embedding(np.concatenate([row.tokens for row in rows])), np.concatenate(parents))
        return self.scores(h), starts

    def forward(self, rows: list[Formula]):
        """Return the scores of false and true for each formula, (formulas, 2)."""
        scores, roots = self.everywhere(rows)
        return scores[roots]


class SequenceModel(nn.Module):
    """A vector for each token, an LSTM over the brackets, two scores after the last one."""

    name = "LSTM"

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(TOKENS), EMBEDDING)
        self.lstm = nn.LSTM(EMBEDDING, hidden)
        self.scores = nn.Linear(hidden, 2)

    def forward(self, rows: list[Formula]):
        """Return the scores of false and true for each formula, (formulas, 2)."""
        ids, lengths = data.pad([row.brackets for row in rows])
        y, _ = self.lstm(self.embedding(ids), None, lengths)
        return self.scores(y[lengths - 1, np.arange(len(rows))])


def roots(rows: list[Formula]) -> np.ndarray:
    """Return the truth of each formula."""
    return np.array([row.truths[0] for row in rows])


def train(model: Any, rows: list[Formula], epochs: int, seed: int) -> float:
    """Train on the truth of whole formulas; return the seconds it took."""
    optimizer, rng = optim.Adam(model.parameters(), lr=5e-3), np.random.default_rng(seed)
    schedule = optim.CosineLR(optimizer, total=epochs * (len(rows) // BATCH))
    started = time.perf_counter()
    for _ in range(epochs):
        for batch in np.array_split(rng.permutation(len(rows)), len(rows) // BATCH):
            chosen = [rows[i] for i in batch]
            loss = nn.cross_entropy(model(chosen), roots(chosen))
            optimizer.zero_grad()
            loss.backward()
            optim.clip_grad_norm(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    return time.perf_counter() - started


def accuracy(model: Any, rows: list[Formula]) -> float:
    """Return the share of formulas whose truth the model says."""
    with tg.no_grad():
        parts = [rows[i : i + 100] for i in range(0, len(rows), 100)]
        said = np.concatenate([np.argmax(model(part).data, axis=1) for part in parts])
    return float(np.mean(said == roots(rows)))


def accuracy_inside(model: TreeModel, rows: list[Formula]) -> float:
    """Return the same for the parts of formulas: nodes that are neither roots nor leaves."""
    right = []
    with tg.no_grad():
        for row in rows:
            said = np.argmax(model.everywhere([row])[0].data, axis=1)
            inside = (row.parents >= 0) & (row.tokens > 1)
            right.append((said == row.truths)[inside])
    return float(np.mean(np.concatenate(right)))


def same_alone(model: TreeModel, rows: list[Formula]) -> float:
    """Return how far scores of formulas in a batch are from those of each with a graph to itself."""
    with tg.no_grad():
        together = model(rows).data
        alone = np.concatenate([model([row]).data for row in rows])
    return float(np.abs(together - alone).max())


def main() -> int:
    quick = wants_quick(__doc__)
    checks = Checks()
    depths, deeper = ((1, 2), (3,)) if quick else ((1, 2, 3, 4), (5, 6))
    count, tested, epochs, seeds = (500, 100, 12, 1) if quick else (4000, 500, 15, 3)
    drawn = formulas(count + tested, depths, seed=0)
    training, held_out = drawn[:-tested], drawn[-tested:]
    deep = formulas(tested, deeper, seed=1)
    print(f"{len(training):,} formulas of {depths[0]} to {depths[-1]} operators one in the other, such as")
    print("      " + " ".join(TOKENS[i] for i in training[-1].brackets))
    guess = {name: max(roots(rows).mean(), 1 - roots(rows).mean()) for name, rows in (("h", held_out), ("d", deep))}
    print(f"      always the more frequent answer: right {guess['h']:.1%} held out, {guess['d']:.1%} deeper")

    found: dict[str, list[list[float]]] = {}
    for seed in range(seeds):
        for make, hidden in ((TreeModel, 32), (SequenceModel, 32)):
            tg.random.seed(seed)
            model = make(hidden)
            seconds = train(model, training, epochs, seed)
            numbers = [accuracy(model, held_out), accuracy(model, deep)]
            if isinstance(model, TreeModel):
                numbers += [accuracy_inside(model, held_out), accuracy_inside(model, deep)]
                apart = same_alone(model, held_out[:20])
            found.setdefault(model.name, []).append(numbers)
            size = sum(parameter.size for parameter in model.parameters())
            print(
                f"      seed {seed}, {model.name:9} {size:,} parameters: held out {numbers[0]:.1%}, deeper "
                f"{numbers[1]:.1%}" + "".join(f", inside {x:.1%}" for x in numbers[2:]) + f", {seconds:.0f} s",
                flush=True,
            )
    tree, sequence = (np.array(found[name]).min(0) for name in ("Tree-LSTM", "LSTM"))
    checks.at_most("scores in a batch beside a graph to itself, largest difference", apart, 1e-5)
    limits = (0.7, 0.65, 0.6, 0.55) if quick else (0.99, 0.95, 0.99, 0.95)
    names = ("formulas held out", "deeper formulas", "parts of those held out", "parts of deeper ones")
    for name, least, limit in zip(names, tree, limits, strict=True):
        checks.at_least(f"Tree-LSTM, {name}, share right, worst of {seeds} seeds", least, limit)
    best = np.array(found["LSTM"]).max(0)
    if not quick:
        checks.at_least("Tree-LSTM's worst less the LSTM's best, formulas held out", tree[0] - best[0], 0.0)
        checks.at_least("LSTM, formulas held out, above the more frequent answer", sequence[0], float(guess["h"]))
        checks.at_least("Tree-LSTM's worst less the LSTM's best, deeper formulas", tree[1] - best[1], 0.05)
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
