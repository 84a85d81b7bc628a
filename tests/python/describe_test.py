#!/usr/bin/env python3
"""describe() of scripts/fewwatt_steps.py, on networks whose counts are published and on modules counted by hand. Needs PyTorch."""
import sys
import unittest
from pathlib import Path

import torch
from torch import nn

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import networks  # noqa: E402
from fewwatt_steps import describe  # noqa: E402


class Published(unittest.TestCase):
    """Published counts are rounded, and some count normalisation too: they may differ by 5 %."""

    def check(self, found, **published):
        for name, count in published.items():
            self.assertLessEqual(abs(found[name] - count), 0.05 * count, "{}: found {}, published {}".format(name, found[name], count))

    def test_resnet_18(self):
        # torchvision's table of weights: 11 689 512 parameters, 1.81 GFLOPS.
        self.check(describe(networks.resnet(18), torch.rand(1, 3, 224, 224)), layers=18, parameters=11689512, flops=1.81e9)

    def test_resnet_50(self):
        # The same table: 25 557 032, 4.09.
        self.check(describe(networks.resnet(50), torch.rand(1, 3, 224, 224)), layers=50, parameters=25557032, flops=4.09e9)

    def test_mobilenet_v3_large(self):
        # The paper: 5.4 M parameters, 219 M multiplications with an addition; table 1 has 20 rows, one of which is the pooling.
        found = describe(networks.mobilenet_v3_large(), torch.rand(1, 3, 224, 224))
        self.check(found, layers=20, parameters=5.4e6, flops=219e6)
        # Of what the simulator's network of that name is made: PowerTrain, table 3.
        self.check(found, layers=20, parameters=5.5e6, flops=225.4e6)

    def test_bert_base(self):
        # The paper: 12 layers, 110 M parameters. Sun et al., "MobileBERT", ACL 2020, table 4: 22.5 G operations on 128 tokens, two
        # to each multiplication with an addition.
        words = torch.randint(30522, (1, 128))
        sample = {"input_ids": words, "token_type_ids": torch.zeros_like(words)}
        self.check(describe(networks.bert_base(), sample), layers=12, parameters=110e6, flops=22.5e9 / 2)


class Counted(unittest.TestCase):
    def counts(self, model, sample, **options):
        found = describe(model, sample, **options)
        return found.get("layers", 0), found.get("flops", 0)

    def test_linear_layers_count_each_weight_once_a_sample(self):
        model = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 5, bias=False))
        self.assertEqual(describe(model, torch.rand(8, 10)),
                         {"batch_size": 8, "layers": 2, "parameters": 10 * 20 + 20 + 20 * 5, "flops": 10 * 20 + 20 * 5})
        # A sequence: each weight once at each of its 7 places.
        self.assertEqual(self.counts(model, torch.rand(3, 7, 10)), (2, 7 * (10 * 20 + 20 * 5)))

    def test_convolutions_count_each_weight_once_a_pixel(self):
        for model, sample, flops in [
                (nn.Conv1d(4, 6, 3, stride=2), torch.rand(2, 4, 9), 4 * 6 * 3 * 4),
                (nn.Conv2d(4, 6, 3, padding=1, groups=2), torch.rand(2, 4, 5, 7), 2 * 6 * 9 * 35),
                (nn.Conv3d(1, 2, 2, dilation=2), torch.rand(1, 1, 4, 4, 4), 2 * 8 * 8),
                # A transposed one has each weight once for each pixel that goes in.
                (nn.ConvTranspose2d(4, 6, 3, stride=2), torch.rand(2, 4, 5, 7), 4 * 6 * 9 * 35)]:
            self.assertEqual(self.counts(model, sample), (1, flops), model)

    def test_functional_calls_count_as_their_modules_do(self):
        class Functional(nn.Module):
            def __init__(self):
                super().__init__()
                self.kernel, self.weight = nn.Parameter(torch.rand(6, 4, 3, 3)), nn.Parameter(torch.rand(6, 2))

            def forward(self, x):
                return torch.einsum("nc,ck->nk", nn.functional.conv2d(x, self.kernel).mean((2, 3)), self.weight)

        self.assertEqual(self.counts(Functional(), torch.rand(2, 4, 5, 5)), (2, 6 * 4 * 9 * 9 + 6 * 2))

    def test_layers_are_those_of_the_longest_way(self):
        class Branches(nn.Module):
            def __init__(self):
                super().__init__()
                self.long = nn.Sequential(*(nn.Linear(4, 4) for _ in range(3)))
                self.short, self.after, self.unused = nn.Linear(4, 4), nn.Linear(8, 2), nn.Linear(4, 4)

            def forward(self, x):
                return self.after(torch.cat([self.short(x), self.long(x).relu_()], 1))

        found = describe(Branches(), torch.rand(2, 4))
        self.assertEqual((found["layers"], found["flops"], found["parameters"]), (4, 4 * 16 + 16, 5 * 20 + 18))

    def test_depthwise_convolutions_are_layers_of_their_own_only_in_modules_with_several(self):
        def separable(inputs, outputs):
            return [nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs), nn.ReLU(), nn.Conv2d(inputs, outputs, 1)]

        stem, blocks = nn.Conv2d(3, 4, 3), [separable(4, 8), separable(8, 8)]
        in_modules = nn.Sequential(stem, *(nn.Sequential(*block) for block in blocks))
        flat = nn.Sequential(stem, *blocks[0], *blocks[1])
        sample = torch.rand(1, 3, 8, 8)
        self.assertEqual(describe(in_modules, sample)["layers"], 3)
        self.assertEqual(describe(flat, sample)["layers"], 5)
        self.assertEqual(describe(in_modules, sample)["flops"], describe(flat, sample)["flops"])

    def attention(self, length, width):
        """Operations of an attention with its four linear layers."""
        return length * 4 * width * width + 2 * length * length * width

    def test_attention_counts_the_same_however_it_runs(self):
        for heads in (1, 4):
            attention = nn.MultiheadAttention(32, heads, batch_first=True)
            x = torch.rand(2, 10, 32)
            for weights in (True, False):
                sample = {"query": x, "key": x, "value": x, "need_weights": weights}
                for trains in (True, False):  # where nothing is trained, PyTorch has a single operator for it
                    attention.requires_grad_(trains)
                    self.assertEqual(self.counts(attention, sample), (1, self.attention(10, 32)), (heads, weights, trains))

    def test_encoder_layers_count_the_same_however_they_run(self):
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        encoder = nn.TransformerEncoder(layer, 3)
        flops = 3 * (self.attention(10, 32) + 10 * 2 * 32 * 64)
        for trains in (True, False):
            encoder.requires_grad_(trains)
            self.assertEqual(self.counts(encoder, torch.rand(2, 10, 32)), (3, flops), trains)

    def test_a_part_without_gradients_counts_too(self):
        class Frozen(nn.Module):
            def __init__(self, without):
                super().__init__()
                self.encoder = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
                self.head, self.without = nn.Linear(32, 5), without

            def forward(self, x):
                with self.without():
                    x = self.encoder(x)
                return self.head(x.mean(1).clone())

        flops = self.attention(10, 32) + 10 * 2 * 32 * 64 + 32 * 5
        for without in (torch.enable_grad, torch.no_grad, torch.inference_mode):
            model = Frozen(without)
            model.head.requires_grad_(False)  # nothing computed in inference mode may be kept for a backward pass
            self.assertEqual(self.counts(model, torch.rand(2, 10, 32)), (1, flops), without)

    def test_what_is_described_in_inference_mode_counts_the_same(self):
        model, sample = networks.Bert(16, 2, 2, words=50, positions=20), torch.randint(50, (2, 10))
        sample = {"input_ids": sample, "token_type_ids": torch.zeros_like(sample)}
        expected = describe(model, sample)
        self.assertEqual(expected["layers"], 2)
        with torch.inference_mode():
            self.assertEqual(describe(model, sample), expected)
        with torch.no_grad():
            self.assertEqual(describe(model, sample), expected)

    def test_recurrent_layers_count_each_weight_once_at_each_time(self):
        class Words(nn.Module):
            def __init__(self, kind, **options):
                super().__init__()
                self.words, self.recurrent = nn.Embedding(50, 6), kind(6, 6, num_layers=2, batch_first=True, **options)
                self.out = nn.Linear(6, 50, bias=False)
                self.out.weight = self.words.weight

            def forward(self, x):
                return self.out(self.recurrent(self.words(x))[0])

        for kind, gates in [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)]:
            found = describe(Words(kind), torch.randint(50, (4, 9)))
            self.assertEqual(found["layers"], 2, kind)
            self.assertEqual(found["flops"], 9 * (2 * gates * 2 * 6 * 6 + 6 * 50), kind)
            self.assertEqual(found["parameters"], 50 * 6 + 2 * gates * (2 * 36 + 2 * 6), kind)  # shared ones once

    def test_what_cannot_be_counted_is_left_out(self):
        self.assertEqual(describe(nn.ReLU(), torch.rand(2, 3)), {"batch_size": 2})

    def test_outputs_of_all_kinds_are_ways_through_the_network(self):
        class Output(dict):
            pass

        class Gives(nn.Module):
            def __init__(self, kind):
                super().__init__()
                self.layer, self.kind = nn.Linear(4, 4), kind

            def forward(self, x):
                return self.kind(self.layer(x))

        for kind in (lambda x: x, lambda x: [x], lambda x: (None, (x,)), lambda x: Output(y=x)):
            self.assertEqual(self.counts(Gives(kind), torch.rand(2, 4)), (1, 16))


class Samples(unittest.TestCase):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x, scale=None, y=None):
            return self.layer(x if y is None else x + y)

    def test_a_tuple_is_positional_and_a_dict_named_arguments(self):
        x, y = torch.rand(5, 4), torch.rand(5, 4)
        for sample in (x, (x,), (x, None, y), {"x": x, "y": y}, {"scale": 2, "x": x}):
            self.assertEqual(describe(self.Two(), sample), {"batch_size": 5, "layers": 1, "parameters": 15, "flops": 12})

    def test_a_batch_size_may_be_given(self):
        times_first = torch.rand(7, 5, 4)
        self.assertEqual(describe(self.Two(), times_first)["flops"], 5 * 12)
        self.assertEqual(describe(self.Two(), times_first, batch_size=5)["flops"], 7 * 12)

    def test_a_packed_sequence_is_one_argument(self):
        packed = nn.utils.rnn.pack_sequence([torch.rand(5, 4), torch.rand(3, 4)])
        found = describe(nn.LSTM(4, 6), packed, batch_size=2)
        self.assertEqual((found["layers"], found["flops"]), (1, 8 * 4 * 6 * (4 + 6) // 2))
        with self.assertRaisesRegex(ValueError, "sample: expected a tensor with a batch dimension, found none: give batch_size"):
            describe(nn.LSTM(4, 6), packed)

    def test_batch_sizes_that_are_none_are_refused(self):
        for batch_size in (0, -1, 2.5, "2"):
            with self.assertRaisesRegex(ValueError, "batch_size: expected a whole number above 0, found"):
                describe(self.Two(), torch.rand(5, 4), batch_size=batch_size)
        with self.assertRaisesRegex(ValueError, "batch_size: expected a whole number above 0, found 0"):
            describe(self.Two(), torch.rand(0, 4))
        for sample in (torch.tensor(1.0), (), {}, None):
            with self.assertRaisesRegex(ValueError, "expected a tensor with a batch dimension"):
                describe(self.Two(), sample)

    def test_what_is_no_module_is_refused(self):
        with self.assertRaisesRegex(TypeError, "model: expected a torch.nn.Module, found function"):
            describe(lambda x: x, torch.rand(2, 3))

    def test_a_lazy_module_is_refused_until_it_has_seen_a_batch(self):
        model, x = nn.Sequential(nn.LazyLinear(3)), torch.rand(5, 4)
        with self.assertRaisesRegex(ValueError, "expected parameters with shapes, found lazy ones"):
            describe(model, x)
        self.assertTrue(torch.nn.parameter.is_lazy(model[0].weight))
        model(x)
        self.assertEqual(describe(model, x)["flops"], 12)

    def test_a_sample_on_another_device_is_moved_to_that_of_the_model(self):
        # The device "meta" has shapes and no numbers. A GPU is not there where tests run.
        model = nn.Sequential(nn.Linear(4, 8, device="meta"), nn.ReLU(), nn.Linear(8, 3, device="meta"))
        self.assertEqual(describe(model, torch.rand(5, 4))["flops"], 56)

    def test_a_wrapped_module_is_the_module(self):
        self.assertEqual(describe(nn.DataParallel(self.Two()), torch.rand(5, 4)), describe(self.Two(), torch.rand(5, 4)))


class PutBack(unittest.TestCase):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.Linear(144, 2))
            self.recurrent, self.fails = nn.LSTM(2, 2, batch_first=True), False

        def forward(self, x):
            x = self.layers(x) + torch.rand(2)
            if self.fails:
                raise ArithmeticError("in forward")
            return self.recurrent(x[:, None])[0]

    def setUp(self):
        self.model, self.sample = self.Model(), torch.rand(2, 3, 8, 8)
        self.model.layers[1].eval()
        self.model.layers[4].weight.requires_grad_(False)

    def state(self):
        modules = list(self.model.modules())
        return ({name: value.clone() for name, value in self.model.state_dict().items()}, [module.training for module in modules],
                [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in modules],
                [(value.requires_grad, value.grad) for value in self.model.parameters()], torch.get_rng_state(),
                torch.is_grad_enabled())

    def check(self, before):
        after = self.state()
        self.assertEqual(before[0].keys(), after[0].keys())
        for name in before[0]:
            self.assertTrue(torch.equal(before[0][name], after[0][name]), name)
        self.assertEqual(before[1:4], after[1:4])
        self.assertTrue(torch.equal(before[4], after[4]), "random numbers")
        self.assertEqual(before[5], after[5])

    def test_the_model_is_as_it_was(self):
        before = self.state()
        self.assertEqual(describe(self.model, self.sample)["layers"], 2)
        self.check(before)

    def test_the_model_is_as_it_was_after_an_exception_which_comes_through(self):
        self.model.fails = True
        before = self.state()
        with self.assertRaisesRegex(ArithmeticError, "in forward"):
            describe(self.model, self.sample)
        self.check(before)
        self.model.fails = False
        self.model.train()
        self.model(self.sample).sum().backward()  # what is counted no more is trained as ever
        self.assertIsNotNone(self.model.layers[0].weight.grad)

    def test_a_sample_that_does_not_fit_raises_what_the_model_raises(self):
        sample = torch.rand(2, 5, 8, 8)
        before = self.state()
        with self.assertRaises(RuntimeError):
            describe(self.model, sample)
        self.check(before)


if __name__ == "__main__":
    unittest.main()
