#!/usr/bin/env python3
"""A peer as a program for sections [external NAME] of suites: peer.py NAME [KEY=VALUE...]

NAME is one of grids.json. Its settings are those that benchmarks/peers/tune has chosen, tuned.json; or all of them are given, as JSON
values. Needs Debian's python3-sklearn, python3-optuna or python3-torch: scripts/install-deps --peers.
"""

import importlib
import json
import os
import pathlib
import sys
import warnings

from protocol import serve

HERE = pathlib.Path(__file__).resolve().parent
CLASSES = {
    "sk-gp": ("regressors", "Gp"),
    "sk-forest": ("regressors", "Forest"),
    "sk-boosting": ("regressors", "Boosting"),
    "sk-neighbours": ("regressors", "Neighbours"),
    "factorisation": ("factorisation", "Factorisation"),
    "torch-maml": ("maml", "Maml"),
    "optuna-tpe": ("tpe", "Tpe"),
    "sk-bo": ("bayesian", "BayesianOptimisation"),
}


def settings_of(name, given, grid, tuned):
    """The settings of a peer. Raises ValueError where they are not those of its grid, or it was not tuned and not all are given."""
    settings = dict(tuned)
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or key not in grid:
            raise ValueError(f"{name}: expected KEY=VALUE with one of the keys {', '.join(grid)}, found '{text}'")
        settings[key] = json.loads(value)
    missing = [key for key in grid if key not in settings]
    if missing:
        raise ValueError(f"{name}: expected tuned settings, found none of {', '.join(missing)}; benchmarks/peers/tune chooses them")
    return settings


def read(name):
    path = HERE / name
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def main():
    try:
        name, given = sys.argv[1], sys.argv[2:]
        module, peer = CLASSES[name]
        settings = settings_of(name, given, read("grids.json")[name], read("tuned.json").get(name, {}))
    except (IndexError, KeyError):
        sys.exit(f"peer.py: expected one of the peers {', '.join(CLASSES)}, found '{' '.join(sys.argv[1:2])}'")
    except ValueError as error:
        sys.exit(f"peer.py: {error}")
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # the bench has a process for each of its threads
        os.environ[variable] = "1"
    warnings.simplefilter("ignore")  # of optimisers that reach a bound, and of what Optuna calls experimental
    try:
        made = getattr(importlib.import_module(module), peer)(settings)
    except ImportError as error:
        sys.exit(f"peer.py: {name}: {error}; scripts/install-deps --peers installs what it needs")
    serve(made)


if __name__ == "__main__":
    main()
