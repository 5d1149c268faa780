"""DeepMind's "A new model and dataset for long-range memory": what is remembered, in characters, and what it is worth.

One learns three things. First the measure, the perplexity of words over an open vocabulary: a model of characters gives
every word that can be spelt a probability, the product of those of its characters and of the space behind it, so the
nats of all characters are shared out among the words, exp(nats / words), and no word is unknown. Then the Compressive
Transformer: a segment of text at a time, its past carried as a state of two memories, the older one compressed, with
what these memories are worth: the same network is read once with them and once without. And the memory horizon: how
much the loss of a character changes with the input k characters before, |∂loss_t/∂x_(t-k)|, by k, for an RNN, a GRU, an
LSTM and the compressive memory, all of as many parameters and trained alike, with gradients that stop at the segment's
border.

What has been found of this holds here as well, and is claimed: the plain RNN forgets sooner than cells with gates; and
from where only the compressed memory reaches, an input matters more than to any recurrent network of that size. That
the text is predicted better for it is another thing, and is not claimed.

The gradient of the compressive memory stops at its border even when nobody trains, since memories are constants there.
So its horizon is measured by differences: a nudge of the input then, and the loss now. For an LSTM both ways agree.

Source: J. Rae, T. Lillicrap, "A new model and dataset for long-range memory", DeepMind, 2020; J. Rae et al. 2020,
"Compressive Transformers for Long-Range Sequence Modelling": 17.1 on WikiText-103, 33.6 on PG-19, which takes
thousands of times what is here. The text is the Python manual, its last tenth held out.

    python examples/long_range_memory.py          # two seeds, some ten minutes
    python examples/long_range_memory.py --quick  # seconds, smaller
"""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

import numpy as np
from checks import Checks, wants_quick

import tinygrad_rnn as tg
from tinygrad_rnn import data, nn, optim, viz
from tinygrad_rnn.core.tree import tree_map

HEADS, LAYERS, RATE, RATE_OF_LOSS = 4, 2, 2, 0.1


class Setting(NamedTuple):
    """Sizes: of a vector, a segment (of the memories too), batch and training, and the characters of text."""

    size: int
    segment: int
    batch: int
    epochs: int
    text: int
    seeds: int


class Recurrent(nn.Module):
    """Characters to vectors, a recurrent layer, a score for every character; called as the Compressive Transformer."""

    def __init__(self, symbols: int, size: int, cell: nn.Cell) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, size)
        self.layer = nn.Recurrent(cell)
        self.head = nn.Linear(cell.hidden_size, symbols)

    def forward(self, ids, state=None):
        """Return the scores (time, batch, symbols) after `ids` (time, batch), the state, and no loss of its own."""
        y, state = self.layer(self.embedding(ids), state)
        return self.head(y), state, 0.0


def parameters(model: nn.Module) -> int:
    return sum(parameter.size for parameter in model.parameters())


def models(symbols: int, setting: Setting) -> dict[str, nn.Module]:
    """Return the four models, the recurrent ones of the hidden size that makes them as large as the last one."""
    size, memory = setting.size, setting.segment
    compressive = nn.CompressiveTransformer(symbols, size, HEADS, LAYERS, memory, memory, RATE)
    made = {}
    for name, cell in {"RNN": nn.RNNCell, "GRU": nn.GRUCell, "LSTM": nn.LSTMCell}.items():
        hidden = 8
        while parameters(Recurrent(symbols, size, cell(size, hidden + 8))) <= parameters(compressive):
            hidden += 8
        made[name] = Recurrent(symbols, size, cell(size, hidden))
    return {**made, "compressive": compressive}


def word_perplexity(text: str, nats: float) -> float:
    """Return the perplexity of a text's words from the nats of all its characters."""
    return math.exp(nats / len(text.split()))


def nats_of_spelling(words: dict[str, float], text: str) -> float:
    """Return the nats of a text by a model that knows how words are drawn, but is asked a character at a time."""
    nats, begun = 0.0, ""
    for character in text:
        ways = sum(p for word, p in words.items() if (word + " ").startswith(begun))
        chosen = sum(p for word, p in words.items() if (word + " ").startswith(begun + character))
        nats -= math.log(chosen / ways)
        begun = "" if character == " " else begun + character
    return nats


def metric(checks: Checks) -> None:
    """Hold the measure against a text whose words are drawn from a list, and against uniform characters."""
    words = {"a": 0.4, "an": 0.3, "the": 0.2, "then": 0.1}
    drawn = np.random.default_rng(0).choice(list(words), 500, p=list(words.values()))
    text = "".join(f"{word} " for word in drawn)
    ours = word_perplexity(text, nats_of_spelling(words, text))
    by_words = math.exp(-np.mean([math.log(words[word]) for word in drawn]))
    checks.close("perplexity of words, from characters and from the words themselves", ours, by_words, 1e-10)


def counted(training: np.ndarray, held_out: np.ndarray, symbols: int) -> dict[str, float]:
    """Return the nats of the characters held out by counts of single characters, pairs and triples, mixed."""
    p, found = np.full(len(held_out), 1 / symbols), {}
    for order, name in enumerate(("single characters", "pairs", "triples")):
        seen, now = (
            sum(part[order - k : len(part) - k] * symbols**k for k in range(order + 1))
            for part in (training, np.concatenate([training[-order:] if order else training[:0], held_out]))
        )
        counts = np.bincount(seen, minlength=symbols ** (order + 1)).reshape(-1, symbols)
        total = counts.sum(1)[now // symbols]
        p = (counts.ravel()[now] + 5 * p) / (total + 5)
        found[name] = -float(np.log(p).sum())
    return found


def train(model: Any, ids: np.ndarray, setting: Setting) -> float:
    """Train with the state carried from segment to segment and no gradient across; return the seconds it took."""
    streams = data.Streams(ids, setting.batch, setting.segment)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    cosine = optim.CosineLR(optimizer, total=setting.epochs * len(streams))
    schedule = optim.WarmUp(optimizer, 50, cosine)
    started = time.perf_counter()
    for _ in range(setting.epochs):
        state = None
        for x, y in streams:
            scores, state, own = model(x, state)
            loss = nn.cross_entropy(scores, y) + RATE_OF_LOSS * own
            optimizer.zero_grad()
            loss.backward()
            optim.clip_grad_norm(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            state = tree_map(lambda part: part.detach(), state)
    return time.perf_counter() - started


def nats(model: Any, ids: np.ndarray, segment: int, remembers: bool = True) -> float:
    """Return the nats of a text, read from its first character to its last, by segments; or with no memory of them."""
    state, total = None, 0.0
    with tg.no_grad():
        for x, y in data.Streams(ids, 1, segment):
            scores, after, _ = model(x, state)
            state = after if remembers else None
            total += nn.cross_entropy(scores, y, reduction="sum").item()
    return total


class Nudged(nn.Module):
    """An embedding to whose vectors something is added."""

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        self.embedding, self.nudge = embedding, np.zeros(())

    def forward(self, ids):
        """Return the vectors of `ids` (time, batch), with the nudge (time, batch, size) added."""
        return self.embedding(ids) + self.nudge


def horizon_by_differences(model: Any, ids: np.ndarray, backs, segment: int, directions: int) -> np.ndarray:
    """Return |∂loss_t/∂x_(t-k)| for some k, t the last place of a text, from values of the loss alone.

    Every row of the batch is the same text, one vector of which is nudged along one direction; by as many orthogonal
    directions as a vector has features the size of the gradient is exact, by fewer it is an estimate.

    Args:
        model: in float64.
        ids: (time + 1,), the text; time is a multiple of the segment.
        backs: the numbers k, from 0 to time - 1.
        segment: steps that are read at a time.
        directions: along which each vector is nudged.
    """
    plain, step = model.embedding, 1e-3
    size, time = plain.embedding_dim, len(ids) - 1
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((size, size)))[0][:directions]
    places = np.repeat(time - 1 - np.array(backs), directions)
    rows = 2 * len(places)
    x = np.broadcast_to(ids[:-1, None], (time, rows))
    model.embedding = nudged = Nudged(plain)
    state = None
    with tg.no_grad():
        for start in range(0, time, segment):
            nudged.nudge = np.zeros((segment, rows, size))
            here = np.flatnonzero((places >= start) & (places < start + segment))
            along = step * np.tile(basis, (len(backs), 1))[here]
            nudged.nudge[places[here] - start, here] = along
            nudged.nudge[places[here] - start, here + len(places)] = -along
            scores, state, _ = model(x[start : start + segment], state)
        losses = nn.cross_entropy(scores[-1], np.full(rows, ids[-1]), reduction="none").data
    model.embedding = plain
    slopes = (losses[: rows // 2] - losses[rows // 2 :]) / (2 * step)
    return np.sqrt(size / directions * np.square(slopes).reshape(len(backs), directions).sum(1))


def horizon(model: Any, name: str, texts: np.ndarray, backs, segment: int, directions: int) -> np.ndarray:
    """Return the memory horizon at some k, the mean over texts (time + 1, texts)."""
    model = model.astype(np.float64)
    if name == "compressive":
        each = [horizon_by_differences(model, text, backs, segment, directions) for text in texts.T]
        return np.mean(each, axis=0)
    found = viz.gradient_flow(
        {name: model},
        texts[:-1],
        loss=lambda scores: nn.cross_entropy(scores, texts[1:], reduction="none"),
    )
    return found.flows[name].horizon[list(backs)]


def horizon_by_gradient(model: Recurrent, ids: np.ndarray, backs) -> np.ndarray:
    """Return what `horizon_by_differences` returns, for a recurrent model, from the graph."""
    vectors = tg.Tensor(model.embedding(ids[:-1, None]).data, requires_grad=True)
    y, _ = model.layer(vectors)
    loss = nn.cross_entropy(model.head(y[-1]), ids[-1:])
    (gradient,) = tg.gradients(loss, [vectors])
    return np.linalg.norm(gradient[:, 0], axis=1)[len(ids) - 2 - np.array(backs)]


def show(horizons, backs) -> None:
    """Print the memory horizons, a row for each k."""
    print("\nThe memory horizon after training, seed 0: |∂loss_t/∂x_(t-k)|, x the vector of a character")
    print("      k" + "".join(f"{name:>14}" for name in horizons))
    for i, k in enumerate(backs):
        print(f"      {k:<4}" + "".join(f"{found[i]:14.1e}" for found in horizons.values()), flush=True)


def report(checks: Checks, worths, horizons, backs, by_counts: float, setting: Setting, quick: bool) -> None:
    """Claim what the perplexities show, worst of all seeds, and what the horizons do."""
    for name, found in worths.items():
        checks.at_most(f"{name}, perplexity of words, worst seed, below that of counts", max(found), by_counts)
    gain = np.min(np.array(worths["without memories"]) / np.array(worths["compressive"]))
    checks.at_least("perplexity without the memories over that with them, worst seed", float(gain), 1.0)

    furthest = {}
    for name, found in horizons.items():
        furthest[name] = max(k for k, size in zip(backs, found, strict=True) if size >= 0.01 * found.max())
        print(f"      {name:12} the furthest of these k with a hundredth of the greatest influence: {furthest[name]}")
    # A segment back begins the memory, two back the compressed one, each slot of which stands for RATE characters.
    segment = setting.segment
    compressed = [i for i, k in enumerate(backs) if 2 * segment <= k < (2 + RATE) * segment]
    recurrent = np.max([found[compressed] for name, found in horizons.items() if name != "compressive"], axis=0)
    ratio = float(np.min(horizons["compressive"][compressed] / recurrent))
    checks.at_least("influence of what only the compressed memory holds over that in a recurrent network", ratio, 1.0)
    if not quick:
        checks.at_least("compressive, this furthest k, at least the segment", furthest["compressive"], segment)
        gated = min(furthest["GRU"], furthest["LSTM"])
        checks.at_most("RNN, this furthest k, less than those of both cells with gates", furthest["RNN"], gated - 1)


def main() -> int:
    quick = wants_quick(__doc__)
    checks = Checks()
    setting = Setting(16, 16, 8, 2, 25_000, 1) if quick else Setting(64, 64, 16, 4, 1_000_000, 2)
    text = data.python_manual()[: setting.text]
    vocabulary = data.CharVocabulary.from_text(text)
    training, unseen = data.split_text(text)
    ids, held_out, symbols = vocabulary.encode(training), vocabulary.encode(unseen), len(vocabulary)
    scored = unseen[1 : 1 + len(data.Streams(held_out, 1, setting.segment)) * setting.segment]
    metric(checks)
    print(
        f"{len(training):,} characters to train on; scored are {len(scored):,} others, {len(scored.split()):,} words, "
        f"{len(set(scored.split()) - set(training.split())):,} of them different ones that training never shows"
    )
    by_counts = counted(ids, held_out[1 : 1 + len(scored)], symbols)
    for name, value in by_counts.items():
        worth = word_perplexity(scored, value)
        print(f"      counts of {name:24} {value / len(scored):.3f} nats a character {worth:14,.1f} a word")

    backs = (
        (0, 1, 2, 4, 8, 15, 16, 24, 40)
        if quick
        else (0, 1, 2, 4, 8, 16, 32, 48, 63, 64, 96, 128, 160, 192, 256, 320, 384)
    )
    length = 48 if quick else 512
    texts = np.stack([held_out[i : i + length + 1] for i in range(0, 4 * length, length)][: 1 if quick else 4], axis=1)
    worths, horizons = {}, {}
    for seed in range(setting.seeds):
        tg.random.seed(seed)
        for name, model in models(symbols, setting).items():
            seconds = train(model, ids, setting)
            value = nats(model, held_out, setting.segment)
            worths.setdefault(name, []).append(word_perplexity(scored, value))
            line = f"{value / len(scored):.3f} nats a character {worths[name][-1]:14,.1f} a word"
            if name == "compressive":
                cut = word_perplexity(scored, nats(model, held_out, setting.segment, remembers=False))
                worths.setdefault("without memories", []).append(cut)
                line += f"; without its memories {cut:,.1f}"
            print(f"      seed {seed}, {name:12} {parameters(model):,} parameters {line}, {seconds:.0f} s", flush=True)
            if seed == 0:
                horizons[name] = horizon(model, name, texts, backs, setting.segment, setting.size if quick else 16)
                if name == "LSTM":
                    way = horizon_by_differences(model, texts[:, 0], backs, setting.segment, setting.size)
                    other = horizon_by_gradient(model, texts[:, 0], backs)
                    checks.close("horizon of the LSTM, by differences and by gradients", way, other, 1e-5)
        if seed == 0:
            show(horizons, backs)
    limit = word_perplexity(scored, by_counts["single characters" if quick else "triples"])
    report(checks, worths, horizons, backs, limit, setting, quick)
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
