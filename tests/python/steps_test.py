#!/usr/bin/env python3
"""scripts/fewwatt_steps.py: the steps of loops and of callbacks, called as the libraries call them, and the file of describe().

Usage: steps_test.py BIN     BIN is the folder of fewwatt-adapt
"""
import importlib
import json
import os
import subprocess
import sys
import tempfile
import types
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "scripts"))
BIN = Path(sys.argv.pop(1)).resolve()

CSV = """gpu_khz,time_ms,power_w
306000,90,5
408000,70,6
510000,60,7
624750,52,8
"""


class Interrupted(Exception):
    pass


class ReportedSteps(unittest.TestCase):
    def setUp(self):
        self.reader, writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.addCleanup(os.close, self.reader)
        self.addCleanup(os.close, writer)
        before = dict(os.environ)
        self.addCleanup(os.environ.update, before)
        for name in ("FEWWATT_STEP_PATH", "FEWWATT_STEP_PIPE"):
            os.environ.pop(name, None)
        os.environ["FEWWATT_STEP_FD"] = str(writer)
        self.addCleanup(os.environ.pop, "FEWWATT_STEP_FD")
        sys.modules.pop("fewwatt_steps", None)
        self.module = importlib.import_module("fewwatt_steps")

    def reported(self):
        """Steps since the last call."""
        try:
            return os.read(self.reader, 4096).count(b"\n")
        except BlockingIOError:
            return 0

    def have(self, **modules):
        """Puts modules in the place of libraries that need not be installed: have(keras__callbacks={"Callback": ...})."""
        for name, content in modules.items():
            parts = name.split("__")
            for number in range(1, len(parts) + 1):
                module = sys.modules.setdefault(".".join(parts[:number]), types.ModuleType(parts[number - 1]))
                module.__path__ = []
                self.addCleanup(sys.modules.pop, ".".join(parts[:number]), None)
            vars(module).update(content)


class Loops(ReportedSteps):
    def test_every_minibatch_is_a_step(self):
        for item in self.module.steps("abc"):
            pass
        self.assertEqual(self.reported(), 3)

    def test_with_gradient_accumulation_every_update_is_a_step(self):
        counts = []
        for item in self.module.steps(range(7), every=3):
            counts.append(self.reported())
        self.assertEqual(counts, [0, 0, 0, 1, 0, 0, 1])
        self.assertEqual(self.reported(), 0)

    def test_a_minibatch_that_raises_is_no_step(self):
        with self.assertRaises(Interrupted):
            for item in self.module.steps("abc"):
                if item == "c":
                    raise Interrupted
        self.assertEqual(self.reported(), 2)

    def test_a_number_of_minibatches_that_is_none_is_named(self):
        for every in (0, -1, 1.5, "2"):
            with self.assertRaisesRegex(ValueError, "every: expected a whole number above 0, found"):
                list(self.module.steps("abc", every=every))

    def test_importing_the_file_imports_no_library(self):
        code = ("import sys; before = set(sys.modules); import fewwatt_steps; "
                "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))")
        done = subprocess.run([sys.executable, "-B", "-c", code], env=dict(os.environ, PYTHONPATH=sys.path[0]), check=True,
                              stdout=subprocess.PIPE)
        self.assertEqual(done.stdout.split(), [b"fewwatt_steps"])


class LightningTrainer:
    """Calls hooks as lightning.pytorch.Trainer.fit() does."""

    def __init__(self, callback, accumulate_grad_batches=1, is_global_zero=True):
        self.callback, self.accumulate_grad_batches, self.is_global_zero = callback, accumulate_grad_batches, is_global_zero

    def validate(self, batches):
        self.callback.on_validation_start(self, None)
        for index in range(batches):
            self.callback.on_validation_batch_end(self, None, None, None, index)
        self.callback.on_validation_end(self, None)

    def fit(self, batches, validate_after=(), fails_at=None):
        self.num_training_batches = batches
        self.validate(2)  # a sanity check comes first
        self.callback.on_train_start(self, None)
        for index in range(batches):
            self.callback.on_train_batch_start(self, None, None, index)
            if index == fails_at:
                self.callback.on_exception(self, None, Interrupted())
                raise Interrupted
            self.callback.on_train_batch_end(self, None, {"loss": 0}, None, index)
            if index in validate_after:
                self.validate(3)
        self.callback.on_train_epoch_end(self, None)
        self.callback.on_train_end(self, None)


class LightningCallback:
    """lightning.pytorch.Callback, the hooks that LightningTrainer calls."""

    def on_validation_start(self, trainer, pl_module): pass
    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0): pass
    def on_validation_end(self, trainer, pl_module): pass
    def on_train_start(self, trainer, pl_module): pass
    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx): pass
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx): pass
    def on_exception(self, trainer, pl_module, exception): pass
    def on_train_epoch_end(self, trainer, pl_module): pass
    def on_train_end(self, trainer, pl_module): pass


class Lightning(ReportedSteps):
    def trainer(self, **options):
        self.have(lightning__pytorch={"Callback": LightningCallback})
        callback = self.module.lightning_callback()
        self.assertIsInstance(callback, LightningCallback)
        return LightningTrainer(callback, **options)

    def test_training_batches_are_steps_and_validation_batches_are_not(self):
        self.trainer().fit(5, validate_after=(1, 4))
        self.assertEqual(self.reported(), 5)

    def test_with_gradient_accumulation_every_update_is_a_step_the_last_one_too(self):
        self.trainer(accumulate_grad_batches=4).fit(10)
        self.assertEqual(self.reported(), 3)
        self.trainer(accumulate_grad_batches=4).fit(8)
        self.assertEqual(self.reported(), 2)

    def test_a_batch_that_raises_is_no_step(self):
        with self.assertRaises(Interrupted):
            self.trainer().fit(5, fails_at=3)
        self.assertEqual(self.reported(), 3)

    def test_only_one_process_reports(self):
        self.trainer(is_global_zero=False).fit(5)
        self.assertEqual(self.reported(), 0)

    def test_the_package_that_the_program_has_imported_is_taken(self):
        class Other(LightningCallback):
            pass
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        (Path(folder.name) / "lightning").mkdir()
        (Path(folder.name) / "lightning/__init__.py").write_text("")
        (Path(folder.name) / "lightning/pytorch.py").write_text("class Callback: pass\n")
        sys.path.insert(0, folder.name)
        self.addCleanup(sys.path.remove, folder.name)
        importlib.invalidate_caches()
        self.have(pytorch_lightning={"Callback": Other})
        self.assertIsInstance(self.module.lightning_callback(), Other)
        self.assertNotIn("lightning", sys.modules)

    def test_a_library_that_is_missing_is_named(self):
        for name in ("lightning", "pytorch_lightning"):
            sys.modules[name] = None  # what import takes for missing, also where it is installed
            self.addCleanup(sys.modules.pop, name)
        with self.assertRaisesRegex(ImportError, "expected one of these modules: lightning.pytorch, pytorch_lightning"):
            self.module.lightning_callback()


class TrainerCallback:
    """transformers.TrainerCallback, the events that TransformersTrainer tells."""

    def on_train_begin(self, args, state, control, **kwargs): pass
    def on_epoch_begin(self, args, state, control, **kwargs): pass
    def on_step_begin(self, args, state, control, **kwargs): pass
    def on_substep_end(self, args, state, control, **kwargs): pass
    def on_optimizer_step(self, args, state, control, **kwargs): pass
    def on_step_end(self, args, state, control, **kwargs): pass
    def on_prediction_step(self, args, state, control, **kwargs): pass
    def on_evaluate(self, args, state, control, **kwargs): pass
    def on_epoch_end(self, args, state, control, **kwargs): pass
    def on_train_end(self, args, state, control, **kwargs): pass


class TransformersTrainer:
    """Tells events as transformers.Trainer.train() does."""

    def __init__(self, callback, accumulation=1, is_world_process_zero=True):
        self.callback, self.accumulation = callback, accumulation
        self.state = types.SimpleNamespace(is_world_process_zero=is_world_process_zero, global_step=0)

    def tell(self, event, **more):
        answer = getattr(self.callback, event)(object(), self.state, object(), model=None, optimizer=None, **more)
        assert answer is None  # else it would be taken for the control

    def train(self, updates, evaluate_after=(), fails_at=None):
        self.tell("on_train_begin")
        self.tell("on_epoch_begin")
        for update in range(updates):
            self.tell("on_step_begin")
            for _ in range(self.accumulation - 1):
                self.tell("on_substep_end")
            if update == fails_at:
                raise Interrupted
            self.tell("on_optimizer_step")
            self.state.global_step += 1
            self.tell("on_step_end")
            if update in evaluate_after:
                self.tell("on_prediction_step")
                self.tell("on_evaluate", metrics={})
        self.tell("on_epoch_end")
        self.tell("on_train_end")


class Transformers(ReportedSteps):
    def trainer(self, **options):
        self.have(transformers={"TrainerCallback": TrainerCallback})
        callback = self.module.transformers_callback()
        self.assertIsInstance(callback, TrainerCallback)
        return TransformersTrainer(callback, **options)

    def test_every_update_is_a_step_and_evaluation_is_not(self):
        self.trainer().train(6, evaluate_after=(2, 5))
        self.assertEqual(self.reported(), 6)

    def test_with_gradient_accumulation_every_update_is_a_step(self):
        self.trainer(accumulation=4).train(3)
        self.assertEqual(self.reported(), 3)

    def test_an_update_that_raises_is_no_step(self):
        with self.assertRaises(Interrupted):
            self.trainer().train(6, fails_at=2)
        self.assertEqual(self.reported(), 2)

    def test_only_one_process_reports(self):
        self.trainer(is_world_process_zero=False).train(6)
        self.assertEqual(self.reported(), 0)


class KerasCallback:
    """keras.callbacks.Callback, the hooks that fit() calls."""

    def on_train_begin(self, logs=None): pass
    def on_epoch_begin(self, epoch, logs=None): pass
    def on_train_batch_begin(self, batch, logs=None): pass
    def on_train_batch_end(self, batch, logs=None): pass
    def on_test_begin(self, logs=None): pass
    def on_test_batch_begin(self, batch, logs=None): pass
    def on_test_batch_end(self, batch, logs=None): pass
    def on_test_end(self, logs=None): pass
    def on_epoch_end(self, epoch, logs=None): pass
    def on_train_end(self, logs=None): pass


def keras_fit(callback, batches, epochs=1, per_execution=1, first=0, fails_at=None):
    """Calls hooks as keras.Model.fit() does, with validation data."""
    callback.on_train_begin({})
    for epoch in range(epochs):
        callback.on_epoch_begin(epoch, {})
        for begin in range(first, batches, per_execution):
            callback.on_train_batch_begin(begin, {})
            if begin == fails_at:
                raise Interrupted
            callback.on_train_batch_end(min(begin + per_execution, batches) - 1, {"loss": 0})
        callback.on_test_begin({})
        for batch in range(2):
            callback.on_test_batch_begin(batch, {})
            callback.on_test_batch_end(batch, {})
        callback.on_test_end({})
        callback.on_epoch_end(epoch, {"val_loss": 0})
    callback.on_train_end({})


class Keras(ReportedSteps):
    def callback(self):
        self.have(keras__callbacks={"Callback": KerasCallback})
        callback = self.module.keras_callback()
        self.assertIsInstance(callback, KerasCallback)
        return callback

    def test_training_batches_of_all_epochs_are_steps_and_those_of_validation_are_not(self):
        keras_fit(self.callback(), 5, epochs=3)
        self.assertEqual(self.reported(), 15)

    def test_batches_that_run_together_are_a_step_each(self):
        keras_fit(self.callback(), 10, epochs=2, per_execution=4)
        self.assertEqual(self.reported(), 20)

    def test_batches_before_a_restart_in_the_middle_are_no_steps(self):
        keras_fit(self.callback(), 1000, first=997)
        self.assertEqual(self.reported(), 3)

    def test_a_batch_that_raises_is_no_step(self):
        with self.assertRaises(Interrupted):
            keras_fit(self.callback(), 5, fails_at=4)
        self.assertEqual(self.reported(), 4)


class Handed(ReportedSteps):
    """To the programs."""

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.known = self.module.Characteristics(batch_size=16, layers=18, parameters=11689512, flops=1814073344)

    def run_program(self, verb, *options):
        done = subprocess.run([BIN / ("fewwatt-" + verb), "--json", *options], cwd=self.folder, universal_newlines=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def attributes(self, *options):
        (self.folder / "mine.csv").write_text(CSV)
        self.run_program("adapt", "--learner", "physics", "--measurements", "mine.csv", "--out", "model.h5", *options)
        return self.run_program("inspect", "model.h5")

    def test_a_saved_file_and_options_say_the_same_to_adapt(self):
        self.known.save(self.folder / "net.ini")
        by_file = self.attributes("--config", "net.ini")
        self.assertEqual(by_file, self.attributes(*self.known.options()))
        self.assertNotEqual(by_file, self.attributes())

    def test_characteristics_are_json(self):
        self.assertEqual(json.loads(json.dumps(self.known)), dict(self.known))

    def test_a_folder_that_is_not_there_is_named(self):
        with self.assertRaisesRegex(OSError, "no/such/net.ini"):
            self.known.save(self.folder / "no/such/net.ini")


if __name__ == "__main__":
    unittest.main()
