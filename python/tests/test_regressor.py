"""FewShotRegressor: scikit-learn's conventions, and that it gives what C++ gives."""
import copy
import json
import os
import pickle
import subprocess

import numpy as np
import pytest

import fewwatt
from conftest import relative_error


def test_it_predicts_what_was_not_measured(board, fitted):
    truth = board.measure(board.space.modes())
    guess = np.exp(np.log(fitted.support_.targets).mean(axis=0))
    assert relative_error(fitted.predict(), truth) < relative_error(guess, truth) / 2


def test_the_default_learner_doubts_and_predicts(board, measured):
    regressor = fewwatt.FewShotRegressor(space="orin-agx-64:coarse").fit(*measured)
    assert relative_error(regressor.predict(), board.measure(board.space.modes())) < 0.2
    modes, targets = measured
    wrong = targets.copy()
    wrong[4, 0] *= 1000
    doubted = fewwatt.FewShotRegressor(space=board.space).fit(modes, wrong).predictor_.doubted
    assert [(mode.tolist(), target) for mode, target in doubted] == [(modes[4].tolist(), "time")]


def test_predictions_are_views_and_agree_with_each_other(fitted, board):
    prediction = fitted.prediction()
    assert len(prediction) == len(board.space) and prediction.uncertain
    for name in ("log_mean", "log_variance", "latent_log_variance"):
        array = getattr(prediction, name)
        assert array.shape == (len(board.space), 2) and not array.flags.writeable
        assert np.shares_memory(array, getattr(prediction, name))
    median, std = fitted.predict(return_std=True)
    assert np.allclose(median, np.exp(prediction.log_mean))
    v = prediction.log_variance
    assert np.allclose(std, np.exp(prediction.log_mean + v / 2) * np.sqrt(np.expm1(v)))
    low, middle, high = fitted.predict_quantiles()
    assert (low < middle).all() and (middle < high).all() and np.allclose(middle, median)
    some = board.space.modes()[[5, 3]]
    assert np.allclose(fitted.predict(some), median[[5, 3]])


def test_an_array_outlives_the_prediction_and_the_regressor(board, measured):
    array = fewwatt.FewShotRegressor("gp", space=board.space).fit(*measured).prediction().log_mean
    again = fewwatt.FewShotRegressor("gp", space=board.space).fit(*measured).prediction().log_mean
    assert (array == again).all()


def test_draws_are_as_wide_as_predictions_say(fitted):
    modes = fitted.space_.modes()[::40]
    for joint in (False, True):
        logs = np.log(fitted.sample(modes, n_samples=4000, random_state=0, joint=joint))
        prediction = fitted.prediction(modes)
        assert np.allclose(logs.mean(axis=0), prediction.log_mean, atol=0.1)
        assert np.allclose(logs.std(axis=0), np.sqrt(prediction.log_variance), rtol=0.15)
    assert (fitted.sample(modes, random_state=1) == fitted.sample(modes, random_state=1)).all()


def test_a_target_that_was_not_measured_is_nan(board, measured):
    modes, targets = measured
    only_time = np.column_stack([targets[:, 0], np.full(len(targets), np.nan)])
    predicted = fewwatt.FewShotRegressor("gp", space=board.space).fit(modes, only_time).predict()
    assert np.isfinite(predicted[:, 0]).all() and np.isnan(predicted[:, 1]).all()


def test_a_learner_without_uncertainty_says_so(board, measured):
    regressor = fewwatt.FewShotRegressor("physics", space=board.space).fit(*measured)
    assert regressor.prediction().log_variance is None
    for ask in (lambda: regressor.predict(return_std=True), regressor.predict_quantiles, regressor.sample):
        with pytest.raises(ValueError, match="how sure"):
            ask()


def test_parameters_are_as_scikit_learn_wants_them(board):
    from sklearn.base import clone
    regressor = fewwatt.FewShotRegressor("gp", space=board.space, settings={"noise_median": 0.02}, attributes={"batch_size": 16})
    copied = clone(regressor)
    assert copied is not regressor and copied.get_params() == regressor.get_params()
    assert regressor.set_params(learner="physics").learner == "physics"
    assert "physics" in repr(regressor)
    made = fewwatt.FewShotRegressor(fewwatt.make_learner("gp"))
    assert clone(made).learner is made.learner  # it does not change
    with pytest.raises(ValueError, match="no parameter colour"):
        regressor.set_params(colour=1)


def test_misuse_is_named(board, measured):
    modes, targets = measured
    with pytest.raises(fewwatt.NotFittedError):
        fewwatt.FewShotRegressor().predict()
    for arguments, said in [(dict(learner="gq"), "known are"), (dict(learner=3), "expected a name"), (dict(space=5), "space"),
                            (dict(space="oryn"), "orin"), (dict(learner="maml-init"), "known are"),
                            (dict(learner="ridge"), "needs a checkpoint"), (dict(settings={"colour": 1}), "colour"),
                            (dict(settings={"doubt": object()}), "doubt"), (dict(attributes={"flops": -1}), "flops"),
                            (dict(init=3), "init")]:
        with pytest.raises(ValueError, match=said):
            fewwatt.FewShotRegressor(**{"space": board.space, **arguments}).fit(modes, targets)
    with pytest.raises(ValueError, match="DataFrame"):
        fewwatt.FewShotRegressor().fit(modes, targets)
    with pytest.raises(OSError, match="none.h5"):
        fewwatt.FewShotRegressor(space=board.space, init="none.h5").fit(modes, targets)


def test_scores_are_those_of_scikit_learn(fitted, board):
    from sklearn.metrics import r2_score
    modes = board.space.modes()[::7]
    targets = board.measure(modes)
    weights = np.arange(1.0, len(modes) + 1)
    assert np.isclose(fitted.score(modes, targets), r2_score(targets, fitted.predict(modes)))
    assert np.isclose(fitted.score(modes, targets, weights), r2_score(targets, fitted.predict(modes), sample_weight=weights))
    holes = targets.copy()
    holes[:5, 0], holes[:, 1] = np.nan, np.nan
    assert np.isclose(fitted.score(modes, holes), r2_score(targets[5:, 0], fitted.predict(modes)[5:, 0]))
    same = np.full_like(targets[:3], 40.0)  # no spread, and not predicted exactly
    assert fitted.score(modes[:3], same) == r2_score(same, fitted.predict(modes[:3])) == 0


def test_scikit_learn_validates_with_scores(board, measured):
    from sklearn.model_selection import KFold, cross_val_score
    scores = cross_val_score(fewwatt.FewShotRegressor("gp", space=board.space), *measured, cv=KFold(2))
    modes, targets = measured
    half = fewwatt.FewShotRegressor("gp", space=board.space).fit(modes[5:], targets[5:])
    assert len(scores) == 2 and np.isclose(scores[0], half.score(modes[:5], targets[:5]))


def test_scores_of_what_cannot_be_scored_are_refused(board, measured, fitted):
    modes, targets = measured
    with pytest.raises(fewwatt.NotFittedError, match="score"):
        fewwatt.FewShotRegressor().score(modes, targets)
    with pytest.raises(ValueError, match="found none"):
        fitted.score(modes, np.full_like(targets, np.nan))
    for weights, said in ((np.ones(3), r"\[10\], found \[3\]"), (np.full(10, -1.0), "found -1"), (np.full(10, np.nan), "found nan")):
        with pytest.raises(ValueError, match=f"sample_weight: .*{said}"):
            fitted.score(modes, targets, weights)
    only_time = np.column_stack([targets[:, 0], np.full(len(targets), np.nan)])
    regressor = fewwatt.FewShotRegressor("gp", space=board.space).fit(modes, only_time)
    assert regressor.score(modes, only_time) > 0.5
    with pytest.raises(ValueError, match="expected no power_w"):
        regressor.score(modes, targets)
    with pytest.warns(UserWarning, match="fewer than two"):
        assert np.isnan(fitted.score(modes[:1], targets[:1]))


def test_pickles_and_copies_predict_the_same(tmp_path, board, measured):
    import joblib
    modes, targets = measured
    regressor = fewwatt.FewShotRegressor("gp", space="orin-agx-64:coarse", settings={"noise_median": 0.02}, attributes={"batch_size": 16})
    assert pickle.loads(pickle.dumps(regressor)).get_params() == regressor.get_params()
    regressor.fit(modes, targets, noise_factors=np.full_like(targets, 0.5))
    regressor.set_params(settings=None)  # of the next fit()
    joblib.dump(regressor, tmp_path / "r.joblib")
    loaded = pickle.loads(pickle.dumps(regressor)), joblib.load(tmp_path / "r.joblib")
    for again in (*loaded, copy.deepcopy(regressor), copy.copy(regressor)):
        assert again is not regressor and again.get_params() == regressor.get_params()
        assert (again.predict() == regressor.predict()).all()
        assert (again.sample(modes, random_state=1, joint=True) == regressor.sample(modes, random_state=1, joint=True)).all()
        assert (again.support_.noise_factors == 0.5).all() and again.n_features_in_ == modes.shape[1]
        assert again.model("d", "w").attributes["batch_size"] == 16
    copied = copy.deepcopy(regressor)
    copied.set_params(learner="physics").fit(modes[:6], targets[:6])
    assert regressor.learner == "gp" and len(regressor.support_) == len(modes)


def test_a_pickle_of_another_version_warns(monkeypatch, fitted):
    pickled = pickle.dumps(fitted)
    monkeypatch.setattr(fewwatt.regressor._fewwatt, "__version__", "999.0")
    with pytest.warns(UserWarning, match="pickled by fewwatt .*999.0"):
        pickle.loads(pickled)


def test_a_learner_that_is_made_already_is_not_pickled(board, measured):
    regressor = fewwatt.FewShotRegressor(fewwatt.make_learner("gp"), space=board.space)
    with pytest.raises(TypeError, match="expected the name of a learner"):
        pickle.dumps(regressor)
    with pytest.raises(TypeError, match="expected the name of a learner"):
        pickle.dumps(regressor.fit(*measured).set_params(learner="gp"))
    assert (copy.deepcopy(regressor).predict() == regressor.predict()).all()


def test_models_are_pickled_as_their_files(fitted):
    model = fitted.model("orin", "yolo")
    again = pickle.loads(pickle.dumps(model))
    assert (again.device, again.workload, again.space) == ("orin", "yolo", model.space)
    assert np.allclose(again.prediction.median(), model.prediction.median())
    assert copy.deepcopy(model) is model


@pytest.mark.parametrize("quantiles", [0.0, 1.0, [0.5, np.nan], [-1]])
def test_quantiles_are_probabilities(fitted, quantiles):
    with pytest.raises(ValueError, match="quantiles"):
        fitted.predict_quantiles(quantiles=quantiles)


def test_models_are_files_of_the_programs(tmp_path, fitted, board, measured):
    path = tmp_path / "m.h5"
    fitted.model("orin", "yolo").write(path)
    model = fewwatt.read_model(path)
    assert (model.device, model.workload, model.learner) == ("orin", "yolo", "gp")
    assert model.space == board.space and (model.support.targets == fitted.support_.targets).all()
    assert np.allclose(model.prediction.median(), fitted.predict())
    assert np.shares_memory(model.prediction.log_mean, model.prediction.log_mean)
    fitted_before = fewwatt.FewShotRegressor("gp", space=board.space, attributes={"batch_size": 16}).fit(*measured)
    assert fitted_before.set_params(attributes=None, settings={"noise_median": 0.5}).model().attributes["batch_size"] == 16
    answer = json.loads(subprocess.run([f"{os.environ['FEWWATT_BIN']}/fewwatt-optimize", "--model", path, "--max-power-w", "25",
                                        "--json"], check=True, capture_output=True, text=True).stdout)
    choice = fewwatt.choose(fitted, max_power_w=25)
    assert choice.mode == answer["mode"] and np.isclose(choice.time_ms, answer["time_ms"])
