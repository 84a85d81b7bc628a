"""Few-shot performance models for the power modes of Jetson boards.

A mode is a row of whole numbers, one for each knob of the board, in the order of ``space.knobs``: number of cores, clocks in kHz, power
limits in mW. Targets have two columns: time in ms of a unit of work, and power in W; NaN is unknown. Errors are ``ValueError`` for
misuse, ``OSError`` (``fewwatt.DataError``) for files, ``fewwatt.DeviceError`` for devices. C++ computes without the GIL, and everything
that ``fit`` gives can be used by many threads.

    import fewwatt
    board = fewwatt.SimulatedDevice("orin-agx-64", "yolov8n", grid="powertrain")
    modes = fewwatt.sample_modes(board.space, 10)
    model = fewwatt.FewShotRegressor(space=board.space).fit(modes, board.measure(modes))
    print(fewwatt.choose(model, max_power_w=30))
"""
import os as _os

# The program that parses HDF5 files lies in this folder. Without one, it is looked for beside the interpreter.
_reader = _os.path.join(_os.path.dirname(_os.path.abspath(__file__)), "fewwatt-reader")
if _os.path.exists(_reader):
    _os.environ.setdefault("FEWWATT_READER", _reader)

from ._fewwatt import (  # noqa: E402
    Checkpoint, DataError, DeviceError, Goal, Learner, Model, PowerModeSpace, Prediction, Predictor, Profile, Samples,
    SimulatedDevice, Task, TaskSource, __version__, boards, learners, make_learner, read_checkpoint, read_model, read_profiles,
    sample_task, samplers, samples_of, searches, simulate, simulated_workloads, split_profiles, write_profiles)
from . import frames as _frames, regressor as _regressor  # noqa: E402
from .decisions import Answer, Choice, Sampler, Search, choose, pareto, sample_modes  # noqa: E402
from .environment import Environment  # noqa: E402
from .python_learners import SklearnLearner  # noqa: E402
from .regressor import FewShotRegressor, NotFittedError  # noqa: E402
from .steps import Characteristics, describe  # noqa: E402
from .suites import SuiteResult, run_suite  # noqa: E402
from .training import meta_learners, meta_train  # noqa: E402

__all__ = [
    "Answer", "Characteristics", "Checkpoint", "Choice", "DataError", "DeviceError", "Environment", "FewShotRegressor", "Goal",
    "Learner", "Model", "NotFittedError", "PowerModeSpace", "Prediction", "Predictor", "Profile", "Sampler", "Samples", "Search",
    "SimulatedDevice", "SklearnLearner", "SuiteResult", "Task", "TaskSource", "__version__", "boards", "choose", "describe",
    "learners", "make_learner", "meta_learners", "meta_train", "pareto", "read_checkpoint", "read_model", "read_profiles",
    "run_suite", "sample_modes", "sample_task", "samplers", "samples_of", "searches", "simulate", "simulated_workloads",
    "split_profiles", "write_profiles"]

Profile.to_frame = _frames.profile_to_frame
Profile.from_frame = staticmethod(_frames.profile_from_frame)
SimulatedDevice.measure = _frames.measure
Checkpoint.__reduce__ = _regressor.reduce_by_file(_regressor.checkpoint_of_file)
Model.__reduce__ = _regressor.reduce_by_file(_regressor.model_of_file)
