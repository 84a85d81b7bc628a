"""Search for the fastest mode within a power limit by a plain constrained Bayesian optimisation."""

import numpy as np
from scipy.stats import norm

from features import unit_logs
from regressors import GaussianProcess


class BayesianOptimisation:
    """Random modes first; then the largest expected improvement times the probability to keep the limit (Gardner et al. 2014), with
    scikit-learn's Gaussian process for the logs of time and power. While no measured mode keeps the limit, that probability alone."""

    def __init__(self, settings):
        self.start, self.nu = settings["start"], settings["nu"]

    def search(self, question):
        self.limit = np.log(question["max_power_w"])
        self.x = unit_logs(question["knobs"], question["modes"])
        self.draws = np.random.default_rng(question["seed"])
        self.free = np.ones(len(self.x), dtype=bool)
        self.measured, self.time, self.power = [], [], []

    def ask(self, _):
        if not self.free.any():
            return {"mode": None}
        if len(self.measured) < self.start:
            mode = self.draws.choice(np.flatnonzero(self.free))
        else:
            mode = np.argmax(np.where(self.free, self.acquisition(), -np.inf))
        self.free[mode] = False
        return {"mode": int(mode)}

    def acquisition(self):
        x, time, power = self.x[self.measured], np.array(self.time), np.array(self.power)
        mean, sd, _ = GaussianProcess(x, power, self.nu, 20).predict(self.x)
        fits = norm.cdf((self.limit - mean) / sd)
        inside = power <= self.limit
        if not inside.any():
            return fits
        mean, sd, _ = GaussianProcess(x, time, self.nu, 20).predict(self.x)
        better = time[inside].min() - mean
        expected = better * norm.cdf(better / sd) + sd * norm.pdf(better / sd)
        # Expected improvements so small that they are 0 leave the choice to the probability.
        return expected * fits if (expected * fits)[self.free].max() > 0 else fits

    def tell(self, question):
        self.measured.append(question["mode"])
        self.time.append(np.log(question["time_ms"]))
        self.power.append(np.log(question["power_w"]))
