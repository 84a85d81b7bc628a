#!/usr/bin/env python3
"""A Gaussian process of scikit-learn in a table beside fewwatt's own: log targets, log settings, a length scale for each knob. It knows
the measured modes alone, as fewwatt's gp does.

usage: compare_sklearn.py [--suite SUITE.ini] [--quick]
"""
import argparse
import pathlib
import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

import fewwatt

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--suite", default=pathlib.Path(__file__).with_name("own_meta_learner.ini"))
parser.add_argument("--quick", action="store_true", help="few draws and shots, to see that it runs")
options = parser.parse_args()

warnings.simplefilter("ignore", ConvergenceWarning)  # of length scales of knobs that do not matter
kernel = ConstantKernel(1.0) * Matern([1.0] * 4, (0.05, 100), nu=2.5) + WhiteKernel(1e-3, (1e-6, 1))  # 4 knobs
process = fewwatt.SklearnLearner("sklearn-gp", GaussianProcessRegressor(kernel, n_restarts_optimizer=2, random_state=0))

less = {"shots": [5], "seeds": 1} if options.quick else {}
result = fewwatt.run_suite(options.suite, ["gp", "auto:0", process], **less, log=print)
print(result.markdown)
raise SystemExit("\n".join(result.failures) or 0)
