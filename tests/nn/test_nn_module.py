"""Modules: what they find, how they name it, and what they do to all of it at once."""

from __future__ import annotations

import copy
import gc
import pickle
import re
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import ConfigError, ConversionError, DtypeError, ShapeError, StateDictError


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.scale = nn.Parameter(np.ones(4, np.float32))
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Dropout(0.5)])
        self.register_buffer("mean", np.zeros(3, np.float32))

    def forward(self, x):
        x = self.first(x - self.mean) * self.scale
        for layer in self.layers:
            x = layer(x)
        return x


NAMES = ["first.weight", "first.bias", "scale", "layers.0.weight", "layers.0.bias"]


@st.composite
def nests(draw, depth=3):
    """Draw a module of random structure and the names of its parameters in order of definition."""
    module, names = nn.Module(), []
    for key in draw(st.lists(st.sampled_from("abcdef"), unique=True, max_size=4)):
        if depth and draw(st.booleans()):
            inner, inner_names = draw(nests(depth=depth - 1))
            setattr(module, key, inner)
            names += [f"{key}.{name}" for name in inner_names]
        else:
            setattr(module, key, nn.Parameter(np.full(draw(st.integers(1, 3)), len(names), float)))
            names.append(key)
    return module, names


@given(nests())
@settings(deadline=None)
def test_parameters_are_found_in_order_of_definition_under_dotted_names(nest):
    module, names = nest
    assert [name for name, _ in module.named_parameters()] == names
    assert list(module.state_dict()) == names
    assert all(p is q for p, (_, q) in zip(module.parameters(), module.named_parameters(), strict=True))


@given(nests())
@settings(deadline=None)
def test_a_parameter_is_named_by_its_full_path_however_the_modules_were_put_together(nest):
    module, names = nest
    assert [parameter.name for parameter in module.parameters()] == names
    outer = nn.Module()
    outer.inner = module
    assert [parameter.name for parameter in module.parameters()] == [f"inner.{name}" for name in names]


def test_a_parameter_added_to_a_module_that_is_already_nested_is_named_by_its_full_path():
    net = Net()
    net.first.extra = nn.Parameter([1.0])
    net.layers.append(nn.Linear(1, 1))
    assert net.first.extra.name == "first.extra"
    assert net.layers[2].bias.name == "layers.2.bias"


@given(nests())
@settings(deadline=None)
def test_a_state_dict_goes_out_and_back_unchanged(nest):
    module, _ = nest
    saved = {name: array + 1 for name, array in module.state_dict().items()}
    assert module.load_state_dict(saved) == ([], [])
    again = module.state_dict()
    assert list(again) == list(saved)
    assert all(np.array_equal(again[name], saved[name]) for name in saved)


def test_a_shared_parameter_is_listed_once_and_keeps_its_first_name():
    net = nn.Module()
    net.table = nn.Embedding(4, 3)
    net.out = nn.Linear(4, 3, bias=False)
    net.out.weight = net.table.weight
    assert [name for name, _ in net.named_parameters()] == ["table.weight"]
    assert net.table.weight.name == "table.weight"
    outer = nn.Sequential(net)
    assert [parameter.name for parameter in outer.parameters()] == ["0.table.weight"]


def test_a_shared_module_is_listed_once_and_keeps_its_first_name():
    layer = nn.Linear(2, 2)
    net = nn.Sequential(layer, layer)
    assert net(np.ones((1, 2))).node.scope == ("Sequential", "0")
    layer.extra = nn.Parameter([1.0])
    assert [parameter.name for parameter in net.parameters()] == ["0.weight", "0.bias", "0.extra"]
    del layer.extra
    assert [name for name, _ in net.named_modules()] == ["", "0"]
    assert list(net.children()) == [layer]
    assert "shared" in repr(net).splitlines()[2]


def test_modules_that_hold_each_other_do_not_hang():
    a, b = nn.Module(), nn.Module()
    a.b, b.a = b, a
    a.weight = nn.Parameter([1.0])
    assert [name for name, _ in a.named_parameters()] == ["weight"]
    assert a.eval().training is b.training is False
    assert "Module" in repr(a)


def test_named_modules_go_from_the_outside_in():
    assert [name for name, _ in Net().named_modules()] == ["", "first", "layers", "layers.0", "layers.1"]
    assert [type(child).__name__ for child in Net().children()] == ["Linear", "ModuleList"]


def test_an_unknown_attribute_is_an_attribute_error():
    with pytest.raises(AttributeError, match="wieght"):
        _ = nn.Linear(1, 1).wieght


def test_what_is_deleted_is_gone():
    net = Net()
    del net.scale, net.mean
    assert not {"scale", "mean"} & set(net.state_dict())
    assert "buffer" not in repr(net)
    with pytest.raises(AttributeError):
        _ = net.scale


def test_a_subclass_that_forgets_to_call_the_base_works():
    class Forgetful(nn.Module):
        def __init__(self):
            self.inner = nn.Linear(2, 3)

        def forward(self, x):
            return self.inner(x)

    module = Forgetful()
    assert [name for name, _ in module.named_parameters()] == ["inner.weight", "inner.bias"]
    assert module(np.ones((1, 2))).shape == (1, 3)


@pytest.mark.parametrize(
    "container",
    [
        lambda part: [part],
        lambda part: (1, part),
        lambda part: {"a": part},
        lambda part: {part},
        lambda part: [(1, [part])],
    ],
)
@pytest.mark.parametrize("part", [lambda: nn.Linear(1, 1), lambda: nn.Parameter([1.0])])
def test_a_part_inside_a_plain_container_is_an_error_that_says_module_list(container, part):
    module = nn.Module()
    with pytest.raises(ConfigError, match=r"layers .*nn\.ModuleList"):
        module.layers = container(part())


def test_a_part_appended_to_a_plain_list_later_is_found_out():
    module = nn.Module()
    module.layers = []
    module.layers.append(nn.Linear(1, 1))
    with pytest.raises(ConfigError, match=r"nn\.ModuleList"):
        list(module.parameters())


def test_containers_of_other_things_are_plain_attributes():
    module = nn.Module()
    module.sizes, module.table, module.state = [1, 2], {"a": 1}, (tg.Tensor([1.0]),)
    assert (module.sizes, module.table) == ([1, 2], {"a": 1})
    assert list(module.named_parameters()) == []


def test_a_parameter_is_not_lost_to_an_array():
    module = nn.Linear(2, 3)
    with pytest.raises(ConfigError, match=r"weight\.assign"):
        module.weight = np.zeros((2, 3))
    assert isinstance(module.weight, nn.Parameter)
    module.bias = None
    assert module.bias is None
    module.weight = nn.Parameter(np.zeros((2, 3)))
    assert module.weight.name == "weight"


def test_a_leaf_that_requires_grad_and_is_no_parameter_is_refused():
    module = nn.Module()
    with pytest.raises(ConfigError, match=r"nn\.Parameter"):
        module.weight = tg.Tensor([1.0], requires_grad=True)
    module.weight = tg.Tensor([1.0])
    module.last = 2 * nn.Parameter([1.0])


@pytest.mark.parametrize("name", ["forward", "parameters", "training", "_scope"])
def test_a_part_cannot_hide_what_every_module_has(name):
    module = nn.Module()
    with pytest.raises(ConfigError, match="would hide"):
        setattr(module, name, nn.Parameter([1.0]))
    with pytest.raises(ConfigError, match="would hide"):
        module.register_buffer(name, [1.0])


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match=re.escape("def forward(self, x): ...")):
        nn.Module()(1)
    with pytest.raises(NotImplementedError, match=re.escape("def forward(self, x, state): ... return y, state")):
        nn.Cell()(1, 2)


def test_assign_copies_converts_and_leaves_earlier_graphs_alone():
    weight = nn.Parameter([1.0, 2.0], dtype=np.float32)
    product = weight * weight
    new = np.array([5.0, 6.0])
    weight.assign(new)
    new[:] = 0
    assert weight.tolist() == [5.0, 6.0]
    assert weight.dtype == np.float32
    np.sum(product).backward()
    assert weight.grad.tolist() == [2.0, 4.0]
    weight.assign(tg.Tensor([1.0, 1.0], requires_grad=True))
    assert weight.tolist() == [1.0, 1.0]


def test_assign_refuses_another_shape_or_kind_of_dtype_and_changes_nothing():
    module = nn.Linear(2, 3)
    before = module.state_dict()
    with pytest.raises(ShapeError, match=r"bias .*\(3,\).*\(1,\)"):
        module.bias.assign([1.0])
    with pytest.raises(DtypeError, match=r"bias .*complex"):
        module.bias.assign(np.ones(3, complex))
    assert np.array_equal(module.bias.data, before["bias"])


def test_a_parameter_that_requires_grad_is_floating():
    with pytest.raises(DtypeError):
        nn.Parameter([1, 2])
    assert nn.Parameter([1, 2], requires_grad=False).dtype.kind == "i"


def test_a_state_dict_is_a_copy():
    module = Net()
    for array in module.state_dict().values():
        array += 1
    assert module.mean.tolist() == [0, 0, 0]
    assert module.scale.tolist() == [1, 1, 1, 1]
    saved = module.state_dict()
    module.load_state_dict(saved)
    saved["mean"] += 1
    saved["scale"] += 1
    assert module.mean.tolist() == [0, 0, 0]
    assert module.scale.tolist() == [1, 1, 1, 1]


def test_loading_names_every_problem_at_once_and_changes_nothing():
    module = Net()
    before = module.state_dict()
    wrong = {name: array + 1 for name, array in before.items()}
    del wrong["scale"]
    wrong |= {"extra": np.zeros(1), "first.bias": np.zeros(5), "mean": np.zeros(3, complex)}
    with pytest.raises(StateDictError) as caught:
        module.load_state_dict(wrong)
    for text in ("missing: scale", "unexpected: extra", "first.bias has shape (4,)", "(5,)", "mean has dtype float32"):
        assert text in str(caught.value)
    assert all(np.array_equal(array, before[name]) for name, array in module.state_dict().items())


def test_loading_without_strict_passes_over_names_but_not_over_shapes():
    module = Net()
    saved = {"scale": np.full(4, 7.0), "extra": np.zeros(1)}
    missing, unexpected = module.load_state_dict(saved, strict=False)
    assert set(missing) == {*NAMES, "mean"} - {"scale"}
    assert unexpected == ["extra"]
    assert module.scale.tolist() == [7, 7, 7, 7]
    with pytest.raises(StateDictError, match="scale has shape"):
        module.load_state_dict({"scale": np.zeros(3)}, strict=False)


def test_loading_takes_tensors_and_converts_to_the_dtype_of_the_target():
    module = nn.Linear(1, 1)
    module.load_state_dict({"weight": tg.Tensor([[2.0]], requires_grad=True), "bias": np.array([3.0])})
    assert module.weight.dtype == module.bias.dtype == np.float32
    assert (module.weight.item(), module.bias.item()) == (2, 3)
    module.register_buffer("mean", np.zeros(1, np.float32))
    module.load_state_dict({"mean": np.ones(1)}, strict=False)
    assert (module.mean.dtype, module.mean.item()) == (np.float32, 1)


def test_a_buffer_is_saved_and_replaced_but_not_trained():
    module = Net()
    assert [name for name, _ in module.named_buffers()] == ["mean"]
    assert "mean" not in dict(module.named_parameters())
    module.mean = [1.0, 2.0, 3.0]
    assert isinstance(module.mean, np.ndarray)
    assert module.state_dict()["mean"].tolist() == [1, 2, 3]
    with pytest.raises(ConversionError):
        module.mean = nn.Parameter([1.0]) * 2
    outer = nn.Sequential(module)
    assert [name for name, _ in outer.named_buffers()] == ["0.mean"]


def test_zero_grad_forgets_every_gradient():
    module = Net().eval()
    np.sum(module(np.ones((2, 3), np.float32))).backward()
    assert all(parameter.grad is not None for parameter in module.parameters())
    module.zero_grad()
    assert all(parameter.grad is None for parameter in module.parameters())


def test_train_and_eval_reach_every_module():
    module = Net()
    assert all(part.training for _, part in module.named_modules())
    assert module.eval() is module
    assert not any(part.training for _, part in module.named_modules())
    module.train()
    assert all(part.training for _, part in module.named_modules())


def test_apply_visits_every_module_inner_ones_first():
    visited = []
    module = Net()
    assert module.apply(visited.append) is module
    assert len(visited) == 5
    assert visited[-1] is module
    assert visited.index(module.layers) > visited.index(module.layers[0])


def test_a_frozen_module_gets_no_gradient_and_thaws():
    module = Net().eval()
    assert module.first.requires_grad_(False) is module.first
    x = np.ones((2, 3), np.float32)
    np.sum(module(x)).backward()
    assert module.first.weight.grad is None
    assert module.scale.grad is not None
    assert "first.weight" in module.state_dict()
    assert "weight (3, 4) frozen" in repr(module)
    module.requires_grad_()
    np.sum(module(x)).backward()
    assert module.first.weight.grad is not None
    assert module.first.weight.name == "first.weight"


@given(st.sampled_from([np.float16, np.float32, np.float64]))
@settings(deadline=None)
def test_astype_converts_parameters_and_floating_buffers_in_place(dtype):
    module = Net().eval()
    module.register_buffer("count", np.array(3))
    weight = module.first.weight
    assert module.astype(dtype) is module
    assert module.first.weight is weight
    assert {parameter.dtype for parameter in module.parameters()} == {np.dtype(dtype)}
    assert module.mean.dtype == dtype
    assert module.count.dtype.kind == "i"
    np.sum(module(np.ones((2, 3), dtype))).backward()
    assert {parameter.grad.dtype for parameter in module.parameters()} == {np.dtype(dtype)}
    assert weight.name == "first.weight"


def test_astype_refuses_integers():
    with pytest.raises(DtypeError, match="float16, float32 or float64"):
        nn.Linear(1, 1).astype(int)


def test_a_forward_hook_sees_every_call_until_it_is_removed():
    module, seen = nn.Linear(2, 2), []
    handle = module.register_forward_hook(lambda *call: seen.append(call))
    x = tg.Tensor(np.ones((1, 2), np.float32))
    y = module(x)
    assert len(seen) == 1
    assert seen[0][0] is module
    assert seen[0][1] == (x,)
    assert seen[0][2] is y
    handle.remove()
    module(x)
    assert len(seen) == 1
    assert not nn.Linear(1, 1)._hooks


def test_what_forward_hooks_return_takes_the_place_of_the_output():
    module = nn.Linear(2, 2)
    module.register_forward_hook(lambda module, args, output: 2 * output)
    module.register_forward_hook(lambda module, args, output: output + 1)
    x = np.ones((1, 2), np.float32)
    np.testing.assert_allclose(module(x).data, 2 * module.forward(x).data + 1)


def test_operations_carry_the_names_of_the_modules_they_ran_in():
    module = Net().eval()
    last = module(np.ones((2, 3), np.float32)).node
    assert last.scope == ("Net", "layers.0")
    graph = tg.Graph.of(module(np.ones((2, 3), np.float32)))
    assert ("Net", "first") in {node.scope for node in graph.nodes}
    assert nn.Sequential(nn.Linear(1, 1))(np.ones((1, 1))).node.scope == ("Sequential", "0")
    assert (nn.Parameter([1.0]) * 2).node.scope == ()


def test_a_list_inside_a_list_gives_its_items_the_whole_path_as_scope():
    net = nn.Module()
    net.blocks = nn.ModuleList([nn.ModuleList([nn.Linear(1, 1)])])
    net.blocks[0].append(nn.Linear(1, 1))
    for i in range(2):
        assert net.blocks[0][i](np.ones((1, 1))).node.scope == (f"blocks.0.{i}",)


def test_the_scope_is_left_when_forward_raises():
    module = nn.Linear(2, 2)
    with pytest.raises(ShapeError):
        module(np.ones((1, 3)))
    assert (nn.Parameter([1.0]) * 2).node.scope == ()


def test_the_text_of_a_module_shows_shapes_and_counts():
    module = Net()
    module.register_buffer("mask", np.ones((2, 2)))
    assert repr(module) == (
        "Net, 40 parameters: scale (4,), buffer mean (3,), buffer mask (2, 2)\n"
        "  first: Linear(3, 4), 16 parameters: weight (3, 4), bias (4,)\n"
        "  layers: ModuleList, 20 parameters\n"
        "    0: Linear(4, 4), 20 parameters: weight (4, 4), bias (4,)\n"
        "    1: Dropout(0.5)"
    )
    assert repr(nn.Linear(1, 1, bias=False)) == "Linear(1, 1), 1 parameter: weight (1, 1)"


def test_a_module_list_is_read_as_a_list():
    items = [nn.Linear(1, size) for size in (1, 2, 3)]
    modules = nn.ModuleList(items)
    modules.append(nn.Parameter([1.0]))
    assert len(modules) == 4
    assert list(modules)[:3] == modules[:3] == items
    assert modules[-2] is items[2]
    modules[-1] = modules[0]
    assert modules[3] is items[0]
    assert len(modules) == 4
    assert [name for name, _ in modules.named_modules()] == ["", "0", "1", "2"]
    with pytest.raises(IndexError):
        modules[4] = items[0]
    with pytest.raises(ConfigError, match="int"):
        modules.append(3)


def test_copies_and_pickles_stand_on_their_own_and_keep_what_is_shared():
    module = Net()
    module.tied = module.first
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert list(twin.state_dict()) == list(module.state_dict())
        assert twin.tied is twin.first
        assert twin.first.weight is not module.first.weight
        assert twin.first.weight.name == "first.weight"
        twin.scale.assign(np.zeros(4))
        assert module.scale.tolist() == [1, 1, 1, 1]
        np.sum(twin.eval()(np.ones((2, 3), np.float32))).backward()
        assert twin.scale.grad is not None
        assert module.scale.grad is None


def test_a_module_is_freed_without_the_garbage_collector():
    gc.disable()
    try:
        module = Net()
        module.register_forward_hook(lambda *call: None)
        module.eval()(np.ones((1, 3), np.float32))
        alive = weakref.ref(module)
        del module
        assert alive() is None
    finally:
        gc.enable()
