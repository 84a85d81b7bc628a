"""Regressors of scikit-learn that know the measured modes alone: one for each target, from logs of settings to the log of ms or W."""

import numpy as np
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.neighbors import KNeighborsRegressor

from features import log_targets, pairs, unit_logs


class Regressor:
    """fit(x, y) gives a model whose predict(x) is the mean of y."""

    def __init__(self, settings):
        self.settings = settings

    def adapt(self, question):
        self.knobs = question["knobs"]
        x, y = unit_logs(self.knobs, question["modes"]), log_targets(question["targets"])
        known = ~np.isnan(y)
        self.models = [self.fit(x[known[:, t]], y[known[:, t], t]) if known[:, t].any() else None for t in range(2)]

    def predict(self, question):
        x = unit_logs(self.knobs, question["modes"])
        medians = [None if model is None else np.exp(model.predict(x)) for model in self.models]
        return {"median": pairs(*medians, len(x))}


class Forest(Regressor):
    def fit(self, x, y):
        return RandomForestRegressor(random_state=0, n_jobs=1, **self.settings).fit(x, y)


class Boosting(Regressor):
    def fit(self, x, y):
        return GradientBoostingRegressor(random_state=0, **self.settings).fit(x, y)


class Neighbours(Regressor):
    def fit(self, x, y):
        settings = {**self.settings, "n_neighbors": min(self.settings["n_neighbors"], len(x))}
        return KNeighborsRegressor(**settings).fit(x, y)


class GaussianProcess:
    """A Matern kernel with a length scale for each knob (ARD), whose hyper-parameters maximise the likelihood, on standardised y."""

    def __init__(self, x, y, nu, longest):
        self.mean, spread = y.mean(), y.std()
        self.scale = spread if spread > 1e-9 else 1.0  # equal values may differ by rounding
        kernel = ConstantKernel(1.0, (1e-2, 1e3)) * Matern(np.ones(x.shape[1]), (0.05, longest), nu) + WhiteKernel(1e-3, (1e-6, 1.0))
        self.process = GaussianProcessRegressor(kernel, n_restarts_optimizer=2, random_state=0)
        self.process.fit(x, (y - self.mean) / self.scale)

    def predict(self, x):
        """Mean, and standard deviation with and without the noise of a measurement: [n] each."""
        mean, sd = self.process.predict(x, return_std=True)
        noise = self.process.kernel_.k2.noise_level
        return self.mean + self.scale * mean, self.scale * sd, self.scale * np.sqrt(np.maximum(sd**2 - noise, 0))


class Gp(Regressor):
    def fit(self, x, y):
        return GaussianProcess(x, y, **self.settings)

    def predict(self, question):
        x = unit_logs(self.knobs, question["modes"])
        of_targets = [(None, None, None) if model is None else model.predict(x) for model in self.models]
        mean, sd, latent = zip(*of_targets)
        median = [None if column is None else np.exp(column) for column in mean]
        return {"median": pairs(*median, len(x)), "log_sd": pairs(*sd, len(x)), "latent_log_sd": pairs(*latent, len(x))}
