"""Suites with learners written in Python, and meta-training: what needs fewwatt._meta."""
import pickle
import time

import numpy as np
import pytest

import fewwatt
from test_python_learners import Mean

SUITE = """[suite]
name = small
simulate = orin-agx-64
grid = 60
workloads = resnet18, mobilenetv3, lstm
targets = time, power
shots = 5
seeds = 1
samplers = random
learners = physics

[split lstm]
test = lstm
"""


@pytest.fixture()
def suite(tmp_path):
    path = tmp_path / "small.ini"
    path.write_text(SUITE)
    return path


class Named(Mean):
    def __init__(self, name, **members):
        self.name = name
        self.__dict__.update(members)


class CorpusMean:
    """Predicts the geometric mean of the training workloads, moved to what was measured."""

    name = "corpus-mean"

    def train(self, profiles, seed, steps):
        self.log_mean = np.mean([np.log(np.column_stack([p.time_ms, p.power_w])) for p in profiles], axis=0)
        self.rows = {tuple(mode): row for row, mode in enumerate(profiles[0].modes.tolist())}
        return self

    def adapt(self, support):
        known = self.log_mean[[self.rows[tuple(mode)] for mode in support.modes.tolist()]]
        moved = self.log_mean + (np.log(support.targets) - known).mean(axis=0)
        return lambda modes: np.exp(moved[[self.rows[tuple(mode)] for mode in modes.tolist()]])


def value(result, learner, metric="time_mape"):
    return next(row["value"] for row in result.rows if row["learner"] == learner and row["metric"] == metric)


def test_learners_of_python_stand_beside_ours(suite, tmp_path):
    log = []
    result = fewwatt.run_suite(suite, [Mean(), CorpusMean()], log=log.append)
    assert result.failures == [] and "| mean |" in result.markdown and "| physics |" in result.markdown
    assert 0 < value(result, "corpus-mean") < value(result, "mean")
    assert value(result, "corpus-mean", "train_seconds") >= 0
    assert any("corpus-mean: trained" in line for line in log)
    result.write(tmp_path / "out")
    assert (tmp_path / "out" / "report.html").read_text().lower().startswith("<!doctype html>")
    frame = result.to_frame()
    assert set(frame["learner"]) >= {"mean", "corpus-mean", "physics"} and len(frame) == len(result.rows)


def test_what_python_predicts_is_what_is_scored(suite):
    result = fewwatt.run_suite(suite, ["gp", Named("exact", adapt=lambda support: exact)])
    assert value(result, "exact") < 1e-9 < value(result, "gp")
    assert {row["learner"] for row in result.rows} >= {"exact", "gp"} and "physics" not in {row["learner"] for row in result.rows}


def exact(modes):
    profile, = (p for p in fewwatt.simulate(["orin-agx-64"], ["lstm"], grid="60"))
    rows = {tuple(mode): row for row, mode in enumerate(profile.modes.tolist())}
    at = [rows[tuple(mode)] for mode in modes.tolist()]
    return np.column_stack([profile.time_ms[at], profile.power_w[at]])


def test_a_learner_that_fails_is_named_and_the_others_go_on(suite):
    def throws(support):
        raise ZeroDivisionError("in <b>mine</b>")

    def forever(support):
        while True:
            time.sleep(0.01)
    failing = [Named("throws", adapt=throws), Named("shape", adapt=lambda support: lambda modes: np.ones(3)),
               Named("none", adapt=lambda support: lambda modes: None), Named("slow", adapt=forever),
               Named("nan", adapt=lambda support: lambda modes: np.full((len(modes), 2), np.nan)),
               Named("untrained", train=lambda profiles, seed, steps: 1 / 0)]
    result = fewwatt.run_suite(suite, failing, timeout_s=0.5)
    assert value(result, "physics") > 0
    told = {text.split(" failed")[0]: text for text in result.failures}
    assert set(told) == {"throws", "shape", "none", "slow", "nan", "untrained"}
    assert "ZeroDivisionError: in <b>mine</b>" in told["throws"]
    assert "expected medians of shape" in told["shape"] and "found [3]" in told["shape"]
    assert "medians as numbers" in told["none"]
    assert "learner slow: adapt gave nothing within its 0.5 s" in told["slow"]
    assert "found NaN" in told["nan"]
    assert "learner untrained: train raised ZeroDivisionError" in told["untrained"]
    assert "<b>mine</b>" not in result.html


def test_suites_refuse_what_is_wrong(suite, tmp_path):
    for learners, said in [([Named("a b")], "a name is a letter"), ([Named("gp")], "already"), (["gq"], "known are"),
                           ([Mean(), Mean()], "already")]:
        with pytest.raises(ValueError, match=said):
            fewwatt.run_suite(suite, learners)
    with pytest.raises(ValueError, match="colour: this kind of suite has no such key"):
        fewwatt.run_suite(suite, colour=3)
    with pytest.raises(ValueError, match="shots"):
        fewwatt.run_suite(suite, shots=["many"])
    with pytest.raises(OSError, match="none.ini"):
        fewwatt.run_suite(tmp_path / "none.ini")


def test_what_is_trained_adapts_and_is_a_file(profiles, board, tmp_path):
    training = [profile for profile in profiles if profile.workload != "yolov8n"]
    checkpoint = fewwatt.meta_train("reptile", training, settings={"steps": 5}, shots=[5], seed=1)
    assert checkpoint.learner == "fine_tune" and not next(iter(checkpoint.tensors.values())).flags.writeable
    path = tmp_path / "init.h5"
    checkpoint.write(path)
    held = next(profile for profile in profiles if profile.workload == "yolov8n")
    support = fewwatt.samples_of(held, [0, 10, 20, 30, 40])
    predicted = [fewwatt.FewShotRegressor(init=init, space=held.space).fit(support.modes, support.targets).predict()
                 for init in (checkpoint, path)]
    assert np.isfinite(predicted[0]).all() and (predicted[0] == predicted[1]).all()
    pickled = pickle.dumps(fewwatt.FewShotRegressor(init=path, space=held.space).fit(support.modes, support.targets))
    path.unlink()
    assert (pickle.loads(pickled).predict() == predicted[0]).all()
    kept = pickle.loads(pickle.dumps(checkpoint))
    assert kept.learner == checkpoint.learner and kept.tensors.keys() == checkpoint.tensors.keys()
    assert all((kept.tensors[name] == tensor).all() for name, tensor in checkpoint.tensors.items())
    again = fewwatt.meta_train("reptile", training, settings={"steps": 5}, shots=[5], seed=1)
    assert all((again.tensors[name] == tensor).all() for name, tensor in checkpoint.tensors.items())


def test_meta_training_refuses_what_is_wrong(profiles):
    for arguments, said in [(dict(learner="maml2"), "maml"), (dict(settings={"colour": 1}), "colour"), (dict(profiles=[]), "no profile")]:
        with pytest.raises(ValueError, match=said):
            fewwatt.meta_train(**{"learner": "reptile", "profiles": profiles, **arguments})
    assert "maml" in fewwatt.training.meta_learners()
