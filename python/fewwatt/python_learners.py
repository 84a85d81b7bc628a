"""Learners and meta-learners written in Python, as run_suite() takes them.

A learner has

    name                       letters, digits, - _ +; as the table calls it
    adapt(support)             support: Samples. Gives a predictor: an object with predict(modes), or a function of modes
    predict(modes)             modes: int32 [n,k]. Gives medians, [n,2] in ms and W, > 0; or a tuple of these and of the standard
                               deviations of the logs of a new measurement, [n,2], >= 0. A column of NaN is not predicted
    about                      one line; may be left out

A meta-learner has name and, in place of adapt,

    train(profiles, seed, steps)   Profiles of other workloads; steps: as the suite asks for, 0 = as the meta-learner likes. Gives
                                   an object with adapt(support)

Several threads may call adapt and predict at once.
"""
import copy
import ctypes
import functools
import inspect
import threading

import numpy as np

from .arrays import shape_text


class LearnerError(RuntimeError):
    """What a learner did wrong; the message names it, in one line."""


class _GivenUp(SystemExit):
    """Raised in the thread of a call that took too long; threading says nothing of a SystemExit."""


def _one_line(error):
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def call_within(seconds, who, function, *arguments):
    """Calls a function in a thread of its own. LearnerError, beginning with `who`, for what it raises, and where it is not done
    after `seconds`; None: any time. Then it is told to stop, which code that runs in Python does, and is not waited for."""
    results = []

    def run():
        try:
            results.append((function(*arguments), None))
        except _GivenUp:
            pass
        except BaseException as error:  # SystemExit too: a learner does not end the run
            results.append((None, error))

    if seconds is None:
        run()
    else:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(seconds)
        if not results:
            if thread.is_alive():
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(_GivenUp))
            raise LearnerError(f"{who} gave nothing within its {seconds:g} s")
    result, error = results[0]
    if isinstance(error, KeyboardInterrupt):
        raise error
    if error is not None:
        raise LearnerError(f"{who} raised {_one_line(error)}") from error
    return result


def _table(value, n, who, what):
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "iuf":
            raise TypeError
    except (TypeError, ValueError):
        raise LearnerError(f"{who}: expected {what} as numbers of shape [{n},2], found {type(value).__name__}") from None
    if array.shape != (n, 2):
        raise LearnerError(f"{who}: expected {what} of shape [{n},2], found {shape_text(array)}")
    return np.ascontiguousarray(array, dtype=np.float64)


class Adapter:
    """A learner as C++ calls it: within a time limit, with checked results, every message naming the learner."""

    def __init__(self, learner, timeout_s=60.0, train_timeout_s=None):
        name = getattr(learner, "name", None)
        if not isinstance(name, str):
            raise ValueError(f"learner {type(learner).__name__}: expected a text `name`, found {name!r}")
        self.is_trained = callable(getattr(learner, "train", None))
        if not self.is_trained and not callable(getattr(learner, "adapt", None)):
            raise ValueError(f"learner {name}: expected a function adapt(support), or train(profiles, seed, steps); it has neither")
        for limit_name, limit in (("timeout_s", timeout_s), ("train_timeout_s", train_timeout_s)):
            if limit is not None and not limit > 0:
                raise ValueError(f"{limit_name}: expected seconds above 0, or None, found {limit}")
        self.name = name
        self.about = str(getattr(learner, "about", "written in Python"))
        self.gives_uncertainty = bool(getattr(learner, "gives_uncertainty", False))
        self._learner, self._timeout_s, self._train_timeout_s = learner, timeout_s, train_timeout_s

    def train(self, profiles, seed, steps):
        """A function adapt(support)."""
        who = f"learner {self.name}: train"
        learned = call_within(self._train_timeout_s, who, self._learner.train, profiles, seed, steps)
        if not callable(getattr(learned, "adapt", None)):
            raise LearnerError(f"{who}: expected an object with adapt(support), found {type(learned).__name__}")
        return functools.partial(self._adapt, learned)

    def adapt(self, support):
        """A function of modes [n,k] that gives (log means, log variances or None, the same), each [n,2]."""
        return self._adapt(self._learner, support)

    def _adapt(self, learner, support):
        who = f"learner {self.name}: adapt"
        predictor = call_within(self._timeout_s, who, learner.adapt, support)
        predict = getattr(predictor, "predict", predictor)
        if not callable(predict):
            raise LearnerError(f"{who}: expected an object with predict(modes), or a function, found {type(predictor).__name__}")
        return functools.partial(self._predict, predict)

    def _predict(self, predict, modes):
        who = f"learner {self.name}: predict"
        given = call_within(self._timeout_s, who, predict, modes)
        medians, log_sd = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
        medians = _table(medians, len(modes), who, "medians")
        bad = (medians <= 0) | np.isinf(medians)
        if bad.any():
            raise LearnerError(f"{who}: expected medians above 0, found {medians[bad][0]}")
        if log_sd is None:
            return np.log(medians), None, None
        log_sd = _table(log_sd, len(modes), who, "standard deviations of logs")
        bad = (log_sd < 0) | np.isinf(log_sd)
        if bad.any():
            raise LearnerError(f"{who}: expected standard deviations of logs, at least 0, found {log_sd[bad][0]}")
        return np.log(medians), log_sd**2, log_sd**2


def log_settings(space, modes):
    """Logs of settings, standardised to 0 for the lowest level of a knob and 1 for the highest, float64 [n,k]."""
    levels = list(space.knobs.values())
    low = np.log([level[0] for level in levels])
    high = np.log([level[-1] for level in levels])
    return (np.log(modes) - low) / np.where(high > low, high - low, 1)


class SklearnLearner:
    """A regressor with scikit-learn's interface as a learner: a copy of it is fitted to the logs of each target.

    name       as the table calls it
    estimator  with fit(X, y) and predict(X); where predict has return_std, its standard deviation counts
    features   function (space, modes [n,k]) -> [n,f]; if not given, logs of settings from 0 to 1
    """

    def __init__(self, name, estimator, features=log_settings):
        self.name = name
        self.estimator = estimator
        self.features = features
        self.about = type(estimator).__name__
        self.gives_uncertainty = "return_std" in inspect.signature(estimator.predict).parameters

    def adapt(self, support):
        """A function of modes; see this module's head."""
        fitted = []
        x = self.features(support.space, support.modes)
        for y in np.log(support.targets).T:
            known = ~np.isnan(y)
            if not known.any():
                fitted.append(None)
                continue
            mean = y[known].mean()
            fitted.append((copy.deepcopy(self.estimator).fit(x[known], y[known] - mean), mean))
        return functools.partial(self._predict, fitted, support.space)

    def _predict(self, fitted, space, modes):
        x = self.features(space, modes)
        log_mean, log_sd = np.full((len(modes), 2), np.nan), np.full((len(modes), 2), np.nan)
        for column, pair in enumerate(fitted):
            if pair is None:
                continue
            estimator, mean = pair
            if self.gives_uncertainty:
                log_mean[:, column], log_sd[:, column] = estimator.predict(x, return_std=True)
            else:
                log_mean[:, column] = estimator.predict(x)
            log_mean[:, column] += mean
        return (np.exp(log_mean), log_sd) if self.gives_uncertainty else np.exp(log_mean)
