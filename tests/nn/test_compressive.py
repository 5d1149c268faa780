"""The Compressive Transformer: its attention, its memories, and which gradient goes where."""

import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim, testing
from tinygrad_rnn.core import errors


def made(layers=2, memory=8, compressed=4, rate=2, seed=0, dtype=np.float64):
    tg.random.seed(seed)
    model = nn.CompressiveTransformer(5, 4, 2, layers, memory, compressed, rate).astype(dtype)
    rng = np.random.default_rng(seed)
    for parameter in model.parameters():
        parameter.assign(rng.normal(size=parameter.shape) * 0.5)
    return model


def symbols(time, batch=2, seed=0):
    return np.random.default_rng(seed).integers(5, size=(time, batch))


def softmax(scores):
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def normed(x, norm):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * norm.weight.data + norm.bias.data


def by_hand(layer, h, past):
    """Return what a layer makes of one row of the batch: symbol by symbol, head by head."""
    seen, result = np.concatenate([past, h]), []
    for t, own in enumerate(h):
        at, answers = len(past) + t, []
        for head in range(2):
            part = slice(2 * head, 2 * head + 2)
            query = (own @ layer.query.weight.data)[part]
            scores = []
            for k in range(at + 1):
                angles = (at - k) / np.array([1, 100.0])
                position = np.concatenate([np.sin(angles), np.cos(angles)]) @ layer.position.weight.data
                key = seen[k] @ layer.key.weight.data
                score = (query + layer.content_bias.data[head]) @ key[part]
                scores.append((score + (query + layer.position_bias.data[head]) @ position[part]) / np.sqrt(2))
            answers.append(softmax(np.array(scores)) @ (seen[: at + 1] @ layer.value.weight.data)[:, part])
        x = normed(own + np.concatenate(answers) @ layer.out.weight.data + layer.out.bias.data, layer.after_attention)
        first, _, second = layer.forth
        inner = np.maximum(x @ first.weight.data + first.bias.data, 0)
        result.append(normed(x + inner @ second.weight.data + second.bias.data, layer.after_forth))
    return np.array(result)


def test_a_layer_attends_as_the_formula_says():
    layer, rng = made().layers[0], np.random.default_rng(0)
    h, past = rng.normal(size=(3, 2, 4)), rng.normal(size=(5, 2, 4))
    found = layer(tg.Tensor(h), tg.Tensor(past))
    for row in range(2):
        np.testing.assert_allclose(found.data[:, row], by_hand(layer, h[:, row], past[:, row]), atol=1e-12)


def test_segments_that_fit_in_memory_give_what_the_whole_gives():
    model, ids = made(memory=12), symbols(12)
    whole, memories, loss = model(ids)
    parts, state = [], None
    for start, end in (0, 4), (4, 6), (6, 12):
        logits, state, part_loss = model(ids[start:end], state)
        parts.append(logits)
        assert part_loss.item() == 0
    np.testing.assert_allclose(np.concatenate(parts).data, whole.data, atol=1e-12)
    for pair, other in zip(state, memories, strict=True):
        for a, b in zip(pair, other, strict=True):
            np.testing.assert_allclose(a.data, b.data, atol=1e-12)
    assert loss.item() == 0


def test_no_score_depends_on_a_later_symbol_or_on_another_row():
    model, ids = made(), symbols(6)
    other = ids.copy()
    other[4:, 0] = (other[4:, 0] + 1) % 5
    before, after = model(ids)[0].data, model(other)[0].data
    np.testing.assert_array_equal(before[:4], after[:4])
    np.testing.assert_array_equal(before[:, 1], after[:, 1])
    assert (before[4:, 0] != after[4:, 0]).any()


def test_what_leaves_the_memory_is_compressed_and_what_leaves_that_is_forgotten():
    model = made(layers=1, memory=4, compressed=3)
    layer, rows, memories, sizes = model.layers[0], [], None, []
    for seed in range(4):
        rows.append(model.embedding(symbols(4, seed=seed)).data)
        _, memories, loss = model(symbols(4, seed=seed), memories)
        sizes.append([len(part) for part in memories[0]])
        assert (loss.item() > 0) == (seed > 0)
    assert sizes == [[0, 4], [2, 4], [3, 4], [3, 4]]
    everything = np.concatenate(rows)
    compressed, memory = memories[0]
    np.testing.assert_array_equal(memory.data, everything[-4:])
    groups = [np.concatenate([everything[k], everything[k + 1]], axis=-1) for k in (6, 8, 10)]
    expected = [group @ layer.shrink.weight.data + layer.shrink.bias.data for group in groups]
    np.testing.assert_allclose(compressed.data, np.array(expected), atol=1e-12)


def taught_by(model, total):
    """Return the names of the parameters that get a gradient."""
    model.zero_grad()
    total.backward()
    return {name for name, parameter in model.named_parameters() if parameter.grad is not None and parameter.grad.any()}


def test_scores_teach_all_but_the_compression_and_its_own_loss_teaches_that_alone():
    model = made(memory=4)
    _, memories, _ = model(symbols(8))
    assert not any(rows.requires_grad for pair in memories for rows in pair)
    logits, _, loss = model(symbols(8, seed=1), memories)
    of_compression = {name for name, _ in model.named_parameters() if "shrink" in name}
    every = {name for name, _ in model.named_parameters()}
    assert taught_by(model, np.sum(np.square(logits))) == every - of_compression
    assert taught_by(model, loss) == of_compression


def test_compression_loses_nothing_of_rows_that_are_alike_in_pairs():
    layer, rng = made().layers[0], np.random.default_rng(0)
    layer.shrink.weight.assign(np.concatenate([np.eye(4), np.eye(4)]) / 2)
    layer.shrink.bias.assign(np.zeros(4))
    h, rows = tg.Tensor(rng.normal(size=(3, 2, 4))), np.repeat(rng.normal(size=(2, 2, 4)), 2, axis=0)
    assert layer.reconstruction(h, tg.Tensor(rows), layer.compress(tg.Tensor(rows))).item() < 1e-20
    rows = tg.Tensor(rng.normal(size=(4, 2, 4)))
    assert layer.reconstruction(h, rows, layer.compress(rows)).item() > 1e-3


def test_gradients_are_right():
    model = made(layers=1, memory=2)
    _, memories, _ = model(symbols(4))

    def results(parameters):
        return nn.functional_call(model, parameters, symbols(2, seed=1), memories)

    shrink = {name: array for name, array in model.state_dict().items() if "shrink" in name}
    testing.gradcheck(lambda parameters: results(parameters)[0], (model.state_dict(),))
    testing.gradcheck(lambda parameters: results(parameters)[2], (shrink,))


def test_a_model_learns_what_only_its_memory_can_tell():
    tg.random.seed(0)
    rng = np.random.default_rng(0)
    model = nn.CompressiveTransformer(4, size=16, heads=2, layers=2, memory=4, compressed=2)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    for _ in range(120):
        segment = rng.integers(4, size=(4, 32))
        _, memories, _ = model(segment)
        logits, _, compression = model(segment, memories)
        loss = nn.cross_entropy(logits[:-1], segment[1:])
        model.zero_grad()
        (loss + compression).backward()
        optimizer.step()
    assert loss.item() < 0.3 < np.log(4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 5, "heads": 1}, "size is 5; give a multiple of 2"),
        ({"heads": 3}, "size is 4; give a multiple of 3"),
        ({"memory": 5}, "memory is 5; give a multiple of 2"),
        ({"heads": 0}, "heads is 0; give an integer of at least 1"),
        ({"layers": 0}, "layers is 0; give an integer of at least 1"),
        ({"rate": 0}, "rate is 0; give an integer of at least 1"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(options, message):
    sizes = {"symbols": 5, "size": 4, "heads": 2, "layers": 1, "memory": 4, "compressed": 4, "rate": 2} | options
    with pytest.raises(errors.ConfigError, match=f"^{re.escape(message)}"):
        nn.CompressiveTransformer(**sizes)


def test_segments_and_memories_that_do_not_fit_are_refused():
    model = made()
    for ids in symbols(3), symbols(0), np.zeros(4, int):
        with pytest.raises(errors.ShapeError, match="the time a multiple of 2"):
            model(ids)
    _, memories, _ = model(symbols(4))
    with pytest.raises(errors.ShapeError, match=r"memories \(4, 2, 4\) for a batch of 3"):
        model(symbols(4, batch=3), memories)
