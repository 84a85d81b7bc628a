"""The learner with scikit-learn's conventions; scikit-learn itself is not needed."""
from __future__ import annotations

import copy
import os
import pathlib
import tempfile
import warnings
from typing import Any, Mapping, Optional, Sequence, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _fewwatt
from .arrays import TARGETS, is_frame, modes_array, real_numbers, shape_text, space_of, space_of_frame, targets_array


class NotFittedError(ValueError, AttributeError):
    """fit() comes first."""


def learner_of(learner, init, settings=None):
    """(learner, its name, the checkpoint or None) of a name, and a Checkpoint or the path of one. `learner` must be 'auto' or the
    checkpoint's own where there is one."""
    settings = dict(settings or {})
    if isinstance(learner, _fewwatt.Learner):
        if init is not None or settings:
            raise ValueError("learner: expected a name beside init or settings, found a learner that is made already")
        return learner, "own", None
    if not isinstance(learner, str):
        raise ValueError(f"learner: expected a name or a Learner, found {type(learner).__name__}")
    if init is None:
        return _fewwatt.make_learner(learner, settings), learner, None
    if isinstance(init, (str, os.PathLike)):
        init = _fewwatt.read_checkpoint(init)
    if not isinstance(init, _fewwatt.Checkpoint):
        raise ValueError(f"init: expected a Checkpoint or a path, found {type(init).__name__}")
    if learner not in ("auto", init.learner):
        raise ValueError(f"learner: expected auto or {init.learner}, which init is for, found {learner}")
    return _fewwatt.make_learner(init, settings), init.learner, init


def _of_file(read, content):
    with tempfile.TemporaryDirectory(prefix="fewwatt-") as folder:
        path = pathlib.Path(folder, "saved.h5")
        path.write_bytes(content)
        return read(path)


def checkpoint_of_file(content):
    """The Checkpoint of the bytes of its file."""
    return _of_file(_fewwatt.read_checkpoint, content)


def model_of_file(content):
    """The Model of the bytes of its file."""
    return _of_file(_fewwatt.read_model, content)


def reduce_by_file(of_file):
    """__reduce__ of a class with write(path): pickled as the bytes of its file, which of_file reads."""
    def reduce(self):
        with tempfile.TemporaryDirectory(prefix="fewwatt-") as folder:
            path = pathlib.Path(folder, "saved.h5")
            self.write(path)
            return of_file, (path.read_bytes(),)
    return reduce


def r_squared(values, predicted, weights):
    """1 - sum w (y - p)^2 / sum w (y - mean)^2 of one target [n], as scikit-learn's r2_score: where all values are the same, 1 if
    they are predicted exactly and else 0; NaN and a warning for fewer than two values."""
    if len(values) < 2:
        warnings.warn("R^2 is not defined for fewer than two values", stacklevel=3)
        return np.nan
    error = np.sum(weights * (values - predicted) ** 2)
    spread = np.sum(weights * (values - np.average(values, weights=weights)) ** 2)
    return 1 - error / spread if spread > 0 else float(error == 0)


class FewShotRegressor:
    """Predicts time and power of a workload in all modes of a device from few measured modes.

    learner     name of a learner (fewwatt.learners()), or a Learner; the default is best in most cases
    init        what meta-training gave: a Checkpoint, or the path of its file; None: nothing was learned before
    space       PowerModeSpace of the device, or 'BOARD' or 'BOARD:GRID'; None: all combinations of the settings in fit()'s DataFrame
    settings    options of the learner by name
    attributes  what is known of the workload: batch_size, layers, parameters, flops, time_of

    After fit(): space_, learner_, support_, predictor_, n_features_in_.

    Can be pickled, and so stored by joblib. What is kept is what was measured, the learner's name and settings, and init; it is learned
    again when that is loaded. Other versions of fewwatt may then predict a little differently: the file of model() keeps predictions.
    """

    _estimator_type = "regressor"
    _names = ("learner", "init", "space", "settings", "attributes")

    def __init__(self, learner: Union[str, _fewwatt.Learner] = "auto",
                 init: Union[_fewwatt.Checkpoint, str, os.PathLike[str], None] = None,
                 space: Union[_fewwatt.PowerModeSpace, str, None] = None, settings: Optional[Mapping[str, Any]] = None,
                 attributes: Optional[Mapping[str, Any]] = None) -> None:
        self.learner = learner
        self.init = init
        self.space = space
        self.settings = settings
        self.attributes = attributes

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of the constructor by name."""
        return {name: getattr(self, name) for name in self._names}

    def set_params(self, **params: Any) -> FewShotRegressor:
        """Sets arguments of the constructor. ValueError for one that there is not."""
        for name, value in params.items():
            if name not in self._names:
                raise ValueError(f"FewShotRegressor has no parameter {name}; it has {', '.join(self._names)}")
            setattr(self, name, value)
        return self

    def __repr__(self):
        defaults = {"learner": "auto"}
        given = [f"{name}={value!r}" for name, value in self.get_params().items() if value is not defaults.get(name)
                 and value != defaults.get(name)]
        return f"FewShotRegressor({', '.join(given)})"

    def fit(self, modes: Any, targets: Any, noise_factors: Optional[ArrayLike] = None) -> FewShotRegressor:
        """Learns from measured modes.

        modes          whole numbers [n,k], or a DataFrame with a column for each knob; no mode twice, each of the space
        targets        [n,2]: time in ms, power in W, NaN = not measured; or a DataFrame with time_ms, power_w or both
        noise_factors  [n,2] > 0: variance of each value's noise over that of one fresh measurement, 1/r for a mean of r
        ValueError names the row that is wrong.
        """
        if self.space is not None:
            space = space_of(self.space)
        elif is_frame(modes):
            space = space_of_frame(modes)
        else:
            raise ValueError("space: needed where modes are no DataFrame, whose columns name the knobs")
        rows = modes_array(space.knobs, modes)
        values = targets_array(targets, len(rows))
        if noise_factors is not None:
            noise_factors = real_numbers(noise_factors, "noise_factors")
        attributes, settings = dict(self.attributes or {}), dict(self.settings or {})
        support = _fewwatt.Samples(space, rows, values, noise_factors, attributes)
        learner, name, checkpoint = learner_of(self.learner, self.init, settings)
        self._learn(learner, support)
        # As they were here: set_params() may change them before model() is called.
        self._name, self._checkpoint, self._settings, self._attributes = name, checkpoint, settings, attributes
        return self

    def _learn(self, learner, support):
        predictor = learner.adapt(support)
        self.space_, self.learner_, self.support_, self.predictor_ = support.space, learner, support, predictor
        self.n_features_in_ = support.modes.shape[1]
        self._models = {}

    def __copy__(self):  # what was learned does not change: copies share it
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def __deepcopy__(self, memo):
        copied = copy.copy(self)
        copied.__dict__.update(copy.deepcopy(self.get_params(), memo))
        return copied

    def __getstate__(self):
        fitted = hasattr(self, "predictor_")
        if isinstance(self.learner, _fewwatt.Learner) or (fitted and self._name == "own"):
            raise TypeError("FewShotRegressor: expected the name of a learner, found one that is made already, which cannot be pickled")
        made = ("space_", "learner_", "support_", "predictor_", "n_features_in_", "_models")
        state = {name: value for name, value in self.__dict__.items() if name not in made}
        if fitted:
            support = self.support_
            state["_pickled"] = (_fewwatt.__version__, self.space_, support.modes, support.targets, support.noise_factors)
        return state

    def __setstate__(self, state):
        state = dict(state)
        pickled = state.pop("_pickled", None)
        self.__dict__.update(state)
        if pickled is None:
            return
        version, *measured = pickled
        if version != _fewwatt.__version__:
            warnings.warn(f"FewShotRegressor was pickled by fewwatt {version}, and this is {_fewwatt.__version__}: it may predict "
                          "differently", stacklevel=2)
        learner, _, _ = learner_of(self._name, self._checkpoint, self._settings)
        self._learn(learner, _fewwatt.Samples(*measured, self._attributes))

    def _predict(self, modes):
        if not hasattr(self, "predictor_"):
            raise NotFittedError("FewShotRegressor: fit() comes before predictions")
        return self.predictor_.predict(modes)

    def prediction(self, modes: Any = None) -> _fewwatt.Prediction:
        """The Prediction of modes [n,k], or of all modes of the space: means and variances of logs, without copies."""
        return self._predict(modes)

    def predict(self, modes: Any = None, return_std: bool = False) -> Any:
        """Medians of a new measurement, float64 [n,2]: ms, W; NaN for a target that was not measured. Of modes [n,k], or of all modes
        of the space. With return_std also standard deviations in ms and W; ValueError where the learner does not know them."""
        prediction = self._predict(modes)
        return (prediction.median(), prediction.stddev()) if return_std else prediction.median()

    def score(self, modes: Any, targets: Any, sample_weight: Optional[ArrayLike] = None) -> float:
        """R^2 of predict(modes), the mean over the targets, as scikit-learn's regressors score; 1 is exact, 0 as good as the mean.

        modes, targets  as fit() takes them; modes need not be different. NaN in targets is left out, and so is a target without values
        sample_weight   [n] >= 0, how much each mode counts
        ValueError where nothing is known, or where a target is that fit() had no value of.
        """
        if not hasattr(self, "predictor_"):
            raise NotFittedError("FewShotRegressor: fit() comes before score()")
        rows = modes_array(self.space_.knobs, modes)
        values = targets_array(targets, len(rows))
        weights = np.ones(len(rows)) if sample_weight is None else real_numbers(sample_weight, "sample_weight")
        if weights.shape != (len(rows),):
            raise ValueError(f"sample_weight: expected an array [{len(rows)}], found {shape_text(weights)}")
        bad = ~(np.isfinite(weights) & (weights >= 0))
        if bad.any():
            raise ValueError(f"sample_weight: expected numbers of at least 0, found {weights[bad][0]:g}")
        predicted = self.predict(rows)
        scores = []
        for column, name in enumerate(TARGETS):
            known = ~np.isnan(values[:, column]) & (weights > 0)
            if not known.any():
                continue
            if np.isnan(predicted[known, column]).any():
                raise ValueError(f"targets: expected no {name}, because fit() had none, found {values[known, column][0]:g}")
            scores.append(r_squared(values[known, column], predicted[known, column], weights[known]))
        if not scores:
            raise ValueError("targets: expected a value to compare with, found none")
        return float(np.mean(scores))

    def predict_quantiles(self, modes: Any = None, quantiles: Union[float, Sequence[float]] = (0.05, 0.5, 0.95)) -> NDArray[np.float64]:
        """float64 [q,n,2]: the values in ms and W that a new measurement stays below with these probabilities, each in (0,1)."""
        prediction = self._predict(modes)
        probabilities = np.atleast_1d(real_numbers(quantiles, "quantiles"))
        if not ((probabilities > 0) & (probabilities < 1)).all():
            raise ValueError(f"quantiles: expected numbers between 0 and 1, found {probabilities.tolist()}")
        return np.stack([prediction.quantile(float(p)) for p in probabilities])

    def sample(self, modes: Any = None, n_samples: int = 1, random_state: Any = None, joint: bool = False) -> NDArray[np.float64]:
        """Draws of new measurements, float64 [s,n,2] in ms and W. Each mode by itself, or with joint=True as whole curves: errors of
        modes near to each other go together; that takes memory and time of n^2 and n^3. ValueError where the learner does not know
        how sure it is. random_state: as numpy.random.default_rng() takes it."""
        prediction = self._predict(modes)
        if not prediction.uncertain:
            raise ValueError("the learner does not say how sure it is: nothing can be drawn")
        rng = np.random.default_rng(random_state)
        log_mean, log_variance = prediction.log_mean, prediction.log_variance
        if not joint:
            return np.exp(log_mean + np.sqrt(log_variance) * rng.standard_normal((n_samples, *log_mean.shape)))
        rows = self.space_.modes() if modes is None else modes_array(self.space_.knobs, modes)
        drawn = np.full((n_samples, *log_mean.shape), np.nan)
        for column, target in enumerate(("time", "power")):
            if np.isnan(log_mean[:, column]).all():
                continue
            known = self.predictor_.covariance(rows, target)
            if known is None:
                raise ValueError(f"the learner does not know how errors of {target} go together: joint needs another one")
            covariance, noise = known
            values, vectors = np.linalg.eigh(covariance)
            root = vectors * np.sqrt(np.maximum(values, 0))
            latent = rng.standard_normal((n_samples, len(rows))) @ root.T
            drawn[:, :, column] = log_mean[:, column] + latent + np.sqrt(noise) * rng.standard_normal(latent.shape)
        return np.exp(drawn)

    def model(self, device: str = "device", workload: str = "workload") -> _fewwatt.Model:
        """The Model, which decisions are made with, and which can be written: fewwatt predict, optimize and govern read that file."""
        if (device, workload) not in getattr(self, "_models", {}):
            prediction = self._predict(None)
            settings = _fewwatt.settings_text(self._settings)
            self._models[device, workload] = _fewwatt.Model(
                device, workload, self._name, settings, self.predictor_, self.support_, prediction, self._attributes, self._checkpoint)
        return self._models[device, workload]
