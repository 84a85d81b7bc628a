"""What is made of learners written in Python before a suite runs them: limits of time, shapes, names in messages."""
import sys
import threading
import time

import numpy as np
import pytest

import fewwatt
from fewwatt.python_learners import Adapter, LearnerError, call_within, log_settings


class Mean:
    """The geometric mean of what was measured, in every mode."""

    name = "mean"

    def adapt(self, support):
        mean = np.exp(np.nanmean(np.log(support.targets), axis=0))
        return lambda modes: np.tile(mean, (len(modes), 1))


@pytest.fixture()
def support(profiles):
    return fewwatt.samples_of(profiles[0], list(range(6)))


def wrong(predict):
    """An Adapter of a learner that predicts so."""
    return Adapter(type("Wrong", (), {"name": "wrong", "adapt": lambda self, support: predict})(), timeout_s=5)


def test_a_good_learner_gives_logs(support):
    log_mean, log_variance, latent = Adapter(Mean()).adapt(support)(support.modes)
    assert np.allclose(log_mean, np.log(support.targets).mean(axis=0)) and log_variance is None and latent is None


def test_standard_deviations_become_variances(support):
    predict = wrong(lambda modes: (np.ones((len(modes), 2)), np.full((len(modes), 2), 0.1))).adapt(support)
    assert np.allclose(predict(support.modes)[1], 0.01)


@pytest.mark.parametrize("given, said", [
    (lambda n: np.ones((n, 3)), r"medians of shape \[6,2\], found \[6,3\]"),
    (lambda n: np.ones(n), r"found \[6\]"),
    (lambda n: np.ones((n - 1, 2)), r"found \[5,2\]"),
    (lambda n: np.empty((0, 2)), r"found \[0,2\]"),
    (lambda n: [["a", "b"]] * n, "medians as numbers"),
    (lambda n: None, "medians as numbers.*NoneType"),
    (lambda n: [[1.0, 2.0], [1.0]] * (n // 2), "medians"),
    (lambda n: np.zeros((n, 2)), "medians above 0, found 0.0"),
    (lambda n: -np.ones((n, 2)), "medians above 0, found -1.0"),
    (lambda n: np.full((n, 2), np.inf), "medians above 0, found inf"),
    (lambda n: (np.ones((n, 2)), np.ones((n, 1))), r"standard deviations of logs of shape \[6,2\]"),
    (lambda n: (np.ones((n, 2)), -np.ones((n, 2))), "at least 0, found -1.0"),
])
def test_wrong_predictions_name_the_learner(support, given, said):
    with pytest.raises(LearnerError, match="^learner wrong: predict: expected " + (said if said.startswith("medians") else ".*" + said)):
        wrong(lambda modes: given(len(modes))).adapt(support)(support.modes)


def test_exceptions_name_the_learner_in_one_line(support):
    def fails(modes):
        raise KeyError("no\nsuch <script>")
    with pytest.raises(LearnerError) as caught:
        wrong(fails).adapt(support)(support.modes)
    assert str(caught.value).startswith("learner wrong: predict raised KeyError: ") and "\n" not in str(caught.value)
    with pytest.raises(LearnerError, match="SystemExit"):
        wrong(lambda modes: sys.exit(3)).adapt(support)(support.modes)
    with pytest.raises(LearnerError, match="adapt: expected an object with predict"):
        wrong(3).adapt(support)


def test_a_learner_that_never_returns_is_named_and_stopped(support):
    def forever(modes):
        while True:
            time.sleep(0.01)
    learner = Adapter(type("Slow", (), {"name": "slow", "adapt": lambda self, support: forever})(), timeout_s=0.3)
    before, threads = time.monotonic(), threading.active_count()
    with pytest.raises(LearnerError, match="learner slow: predict gave nothing within its 0.3 s"):
        learner.adapt(support)(support.modes)
    assert time.monotonic() - before < 3
    end = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() == threads


def test_a_call_gets_its_time_and_none_is_any():
    assert call_within(5, "x", lambda a: a + 1, 2) == 3
    assert call_within(None, "x", lambda: 4) == 4


@pytest.mark.parametrize("learner, said", [
    (object(), "name"), (type("A", (), {"name": 3})(), "name"), (type("A", (), {"name": "a"})(), "neither")])
def test_what_is_no_learner_is_refused(learner, said):
    with pytest.raises(ValueError, match=said):
        Adapter(learner)
    with pytest.raises(ValueError, match="timeout_s"):
        Adapter(Mean(), timeout_s=0)


def test_a_meta_learner_must_give_a_learner(profiles, support):
    class Trained:
        name = "trained"

        def train(self, given, seed, steps):
            assert [profile.workload for profile in given] == [profile.workload for profile in profiles] and (seed, steps) == (7, 3)
            return Mean()
    adapter = Adapter(Trained())
    assert adapter.is_trained and adapter.train(profiles, 7, 3)(support)(support.modes)[0].shape == (6, 2)
    Trained.train = lambda self, given, seed, steps: 5
    with pytest.raises(LearnerError, match="learner trained: train: expected an object with adapt"):
        adapter.train(profiles, 7, 3)


def test_a_regressor_of_scikit_learn_is_a_learner(board, measured):
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, WhiteKernel
    from sklearn.neighbors import KNeighborsRegressor
    support = fewwatt.Samples(board.space, *measured)
    modes = board.space.modes()
    gp = Adapter(fewwatt.SklearnLearner("sk-gp", GaussianProcessRegressor(1.0 * RBF() + WhiteKernel(0.01))))
    log_mean, log_variance, _ = gp.adapt(support)(modes)
    assert gp.gives_uncertainty and (log_variance > 0).all()
    truth = np.log(board.measure(modes))
    assert np.abs(log_mean - truth).mean() < np.abs(truth - np.log(measured[1]).mean(axis=0)).mean() / 2
    near = Adapter(fewwatt.SklearnLearner("near", KNeighborsRegressor(1)))
    log_mean, log_variance, _ = near.adapt(support)(support.modes)
    assert log_variance is None and np.allclose(log_mean, np.log(support.targets))
    assert log_settings(board.space, modes).min() == 0 and log_settings(board.space, modes).max() == 1
