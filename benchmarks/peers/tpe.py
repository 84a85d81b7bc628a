"""Search for the fastest mode within a power limit by Optuna."""

import numpy as np
import optuna

from features import unit_logs

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Tpe:
    """Optuna's TPE sampler with the power limit as its constraint. A parameter is the position of a knob's level. Where what it proposes
    is no mode, or was measured before, the nearest mode that was not takes its place."""

    def __init__(self, settings):
        self.settings = settings

    def search(self, question):
        self.limit = question["max_power_w"]
        self.knobs = question["knobs"]
        self.levels = np.array(
            [[knob["levels"].index(setting) for knob, setting in zip(self.knobs, mode)] for mode in question["modes"]]
        )
        self.places = unit_logs(self.knobs, question["modes"])
        self.free = np.ones(len(self.levels), dtype=bool)
        sampler = optuna.samplers.TPESampler(
            seed=question["seed"] % 2**32, constraints_func=lambda trial: trial.user_attrs["over"], **self.settings
        )
        self.study = optuna.create_study(sampler=sampler)

    def propose(self):
        trial = self.study.ask()
        levels = [trial.suggest_int(knob["role"], 0, len(knob["levels"]) - 1) for knob in self.knobs]
        return trial, np.array(levels)

    def ask(self, _):
        if not self.free.any():
            return {"mode": None}
        self.trial, levels = self.propose()
        same = np.flatnonzero((self.levels == levels).all(axis=1) & self.free)
        if len(same) == 0:
            self.study.tell(self.trial, state=optuna.trial.TrialState.FAIL)
            settings = [knob["levels"][level] for knob, level in zip(self.knobs, levels)]
            distance = ((self.places - unit_logs(self.knobs, [settings])) ** 2).sum(axis=1)
            same = [np.argmin(np.where(self.free, distance, np.inf))]
            nearest = self.levels[same[0]]
            self.study.enqueue_trial({knob["role"]: int(level) for knob, level in zip(self.knobs, nearest)})
            self.trial, _ = self.propose()
        self.free[same[0]] = False
        return {"mode": int(same[0])}

    def tell(self, question):
        self.trial.set_user_attr("over", (question["power_w"] - self.limit,))
        self.study.tell(self.trial, question["time_ms"])
