"""WildML's last part: an embedding and two layers of GRU write sentences, trained on batches of uneven length.

The tutorial shows samples and no figure. Here is one: the perplexity on sentences held out, beside that of single words
(which know nothing of their neighbours) and of pairs of words. One also learns what a batch of sentences of
several lengths must be: in float64 its loss and gradients are those of one sentence at a time, to 1e-10, whatever
stands in the padding.

Source: D. Britz, "Recurrent Neural Network Tutorial, Part 4", WildML, 2015: an embedding of 48, two GRU layers of 128,
RMSProp 1e-3 with decay 0.9. Its comments from Reddit are not here: the sentences are those of the Python manual.

    python examples/wildml_gru.py          # some minutes
    python examples/wildml_gru.py --quick  # seconds, smaller
"""

from __future__ import annotations

import re

import numpy as np
from checks import Checks, wants_quick

import tinygrad_rnn as tg
from tinygrad_rnn import data, nn, optim

START, END, RARE = "<s>", "</s>", "<rare>"
BATCH = 32


class Sentences:
    """The sentences of a text as numbers of words, the rare words made one.

    Args:
        text: any text.
        vocabulary: how many different words, the marks of start, end and rare words among them.
    """

    def __init__(self, text: str, vocabulary: int) -> None:
        split = [re.findall(r"\w+|[^\w\s]", part.lower()) for part in re.split(r"(?<=[.!?])\s+|\n\n+", text)]
        split = [words for words in split if 3 <= len(words) <= 40]
        known, counts = np.unique([word for words in split for word in words], return_counts=True)
        frequent = known[np.argsort(-counts, kind="stable")][: vocabulary - 3]
        self.words = [START, END, RARE, *map(str, frequent)]
        numbers = {word: i for i, word in enumerate(self.words)}
        rows = [[0, *[numbers.get(word, 2) for word in words], 1] for words in split]
        self.train, self.held_out = data.train_validation_split([np.array(row) for row in rows], 0.1, seed=0)

    def text(self, ids) -> str:
        """Return words as text, without the marks."""
        return " ".join([self.words[i] for i in ids if i > 1])


class Model(nn.Module):
    """Words to vectors, two layers of GRU, a score for every word."""

    def __init__(self, words: int, embedding: int = 48, hidden: int = 128) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, embedding)
        self.gru = nn.GRU(embedding, hidden, num_layers=2)
        self.scores = nn.Linear(hidden, words)

    def forward(self, ids, state=None, lengths=None):
        """Return the scores (time, batch, words) of what follows `ids` (time, batch), and the state."""
        y, state = self.gru(self.embedding(ids), state, lengths)
        return self.scores(y), state


def summed_loss(model: Model, ids, lengths):
    """Return the loss of a padded batch (time, batch), summed over all words but the starts, and their number."""
    lengths = np.asarray(lengths) - 1
    valid = np.arange(len(ids) - 1)[:, None] < lengths
    scores, _ = model(np.where(valid, ids[:-1], 0), lengths=lengths)
    return nn.cross_entropy(scores, np.where(valid, ids[1:], -100), reduction="sum"), int(lengths.sum())


def perplexity(model: Model, sentences) -> float:
    """Return the perplexity of sentences, a word."""
    total, count = 0.0, 0
    with tg.no_grad():
        for ids, lengths in data.padded_batches(sentences, BATCH):
            loss, words = summed_loss(model, ids, lengths)
            total, count = total + loss.item(), count + words
    return float(np.exp(total / count))


def train(model: Model, sentences: Sentences, epochs: int) -> list[float]:
    """Return the perplexity on the sentences held out after each epoch."""
    optimizer, found = optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.9), []
    for epoch in range(epochs):
        rng = np.random.default_rng(epoch)
        for ids, lengths in data.padded_batches(sentences.train, BATCH, rng):
            loss, words = summed_loss(model, ids, lengths)
            optimizer.zero_grad()
            (loss / words).backward()
            optim.clip_grad_norm(model.parameters(), 5.0)
            optimizer.step()
        found.append(perplexity(model, sentences.held_out))
        print(f"      epoch {epoch + 1:2}: perplexity {found[-1]:.1f} on the sentences held out", flush=True)
    return found


def counted(sentences: Sentences) -> tuple[float, float]:
    """Return the perplexities of counting words, and pairs of words mixed half and half with words."""
    n = len(sentences.words)
    single, pairs = np.ones(n), np.zeros((n, n))
    for ids in sentences.train:
        np.add.at(single, ids[1:], 1)
        np.add.at(pairs, (ids[:-1], ids[1:]), 1)
    single /= single.sum()
    after = pairs / np.maximum(pairs.sum(1, keepdims=True), 1)
    logs = [
        (np.log(single[ids[1:]]), np.log(0.5 * single[ids[1:]] + 0.5 * after[ids[:-1], ids[1:]]))
        for ids in sentences.held_out
    ]
    return tuple(float(np.exp(-np.mean(np.concatenate(part)))) for part in zip(*logs, strict=True))


def sample(model: Model, sentences: Sentences, rng: np.random.Generator) -> str:
    """Return a sentence, each word drawn by its probability; rare words are drawn again."""
    ids, state = [0], None
    with tg.no_grad():
        while ids[-1] != 1 and len(ids) < 30:
            scores, state = model(np.array([ids[-1:]]), state)
            p = tg.softmax(scores[0, 0].astype(np.float64)).data.copy()
            p[[0, 2]] = 0
            ids.append(int(rng.choice(len(p), p=p / p.sum())))
    return sentences.text(ids)


def main() -> int:
    quick = wants_quick(__doc__)
    checks = Checks()
    text = data.python_manual()
    sentences = Sentences(text[:40_000], 300) if quick else Sentences(text, 2500)
    print(f"{len(sentences.train):,} sentences to train on, {len(sentences.held_out)} held out; seed 0")

    tg.random.seed(0)
    model = Model(len(sentences.words), 8, 16).astype(np.float64)
    rows = sentences.train[:4]
    (ids, lengths), *_ = data.padded_batches(rows, 4)
    whole, _ = summed_loss(model, ids, lengths)
    gradients = tg.gradients(whole, list(model.parameters()))
    single = sum(summed_loss(model, row[:, None], [len(row)])[0] for row in rows)
    ones = tg.gradients(single, list(model.parameters()))
    checks.close("loss of a padded batch, and of its sentences one by one", whole.item(), single.item(), 1e-10)
    largest = max(float(np.abs(a - b).max()) for a, b in zip(gradients, ones, strict=True))
    checks.at_most("largest difference of their gradients", largest, 1e-10)

    tg.random.seed(0)
    model = Model(len(sentences.words), 16, 32) if quick else Model(len(sentences.words))
    found = train(model, sentences, 3 if quick else 12)
    words, pairs = counted(sentences)
    print(f"      counting words: {words:.1f}; counting pairs of words, half and half with words: {pairs:.1f}")
    if quick:
        checks.at_most("perplexity held out, below half of the words there are", min(found), len(sentences.words) / 2)
    else:
        checks.at_most("perplexity held out, below that of counting words", min(found), words)
        checks.at_most("perplexity held out, below that of counting pairs", min(found), pairs)
    rng = np.random.default_rng(0)
    for _ in range(5):
        print(f"      | {sample(model, sentences, rng)}")
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
