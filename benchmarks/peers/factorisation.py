"""Matrix factorisation over workloads: collaborative filtering, in the manner of OPEN (Zheng et al. 2025, arXiv:2508.07605).

Workloads are the rows of a matrix, modes its columns. The log of a target is

    log y[w, m] = a_w + c_m + p_w . q_m

with a_w, p_w of the workload and c_m, q_m of the mode. The modes' part is learned from the training workloads, and the measured
modes of a new workload give its own part. Time and power have a matrix each.
"""

import numpy as np

from features import log_targets, pairs, unit_logs

ROUNDS = 30  # of alternating least squares


def ridge(values, known, factors, l2):
    """For each row of values [n, m] the p [n, r] that minimises sum over known m of (values - p . factors)^2 + l2 |p|^2."""
    weighted = known[:, :, None] * factors[None]
    left = np.einsum("nmr,ms->nrs", weighted, factors) + l2 * np.eye(factors.shape[1])
    right = np.einsum("nmr,nm->nr", weighted, np.where(known, values, 0))
    return np.linalg.solve(left, right[:, :, None])[:, :, 0]


def factorise(logs, rank, l2):
    """Of a matrix [workloads, modes] with NaN where nothing is known, each column with a value: c [modes] and q [modes, rank]."""
    known = ~np.isnan(logs)
    a = np.nanmean(logs, axis=1, keepdims=True)
    c = np.nanmean(logs - a, axis=0)
    rest = np.where(known, logs - a - c, 0)
    rank = min(rank, *logs.shape)
    u, s, v = np.linalg.svd(rest, full_matrices=False)
    p, q = u[:, :rank] * np.sqrt(s[:rank]), v[:rank].T * np.sqrt(s[:rank])
    for _ in range(ROUNDS):
        p = ridge(rest, known, q, l2)
        q = ridge(rest.T, known.T, p, l2)
    return c, q


class Factorisation:
    def __init__(self, settings):
        self.rank, self.l2 = settings["rank"], settings["l2"]

    def train(self, question):
        profiles = question["profiles"]
        modes = sorted({tuple(mode) for profile in profiles for mode in profile["modes"]})
        position = {mode: i for i, mode in enumerate(modes)}
        logs = np.full((2, len(profiles), len(modes)), np.nan)
        for w, profile in enumerate(profiles):
            at = [position[tuple(mode)] for mode in profile["modes"]]
            logs[:, w, at] = log_targets(profile["targets"]).T
        places = unit_logs(profiles[0]["knobs"], modes)
        targets = []
        for of_target in logs:
            columns = ~np.isnan(of_target).all(axis=0)
            rows = ~np.isnan(of_target).all(axis=1)
            if not columns.any():
                targets.append(None)
                continue
            c, q = factorise(of_target[rows][:, columns], self.rank, self.l2)
            targets.append({"places": places[columns].tolist(), "c": c.tolist(), "q": q.tolist()})
        return {"model": targets}

    def load(self, question):
        self.targets = [
            None if one is None else {key: np.array(values) for key, values in one.items()} for one in question["model"]
        ]

    @staticmethod
    def nearest(target, x):
        """The column of the mode that is nearest to each x [n, knobs]: its own, where training has seen it."""
        return np.array([np.argmin(((target["places"] - one) ** 2).sum(axis=1)) for one in x], dtype=int)

    def adapt(self, question):
        self.knobs = question["knobs"]
        x, y = unit_logs(self.knobs, question["modes"]), log_targets(question["targets"])
        self.workload = []
        for t, target in enumerate(self.targets):
            known = ~np.isnan(y[:, t])
            if target is None or not known.any():
                self.workload.append(None)
                continue
            at = self.nearest(target, x[known])
            rest = y[known, t] - target["c"][at]
            a = rest.mean()
            q = target["q"][at]
            p = ridge((rest - a)[None], np.ones((1, len(rest)), dtype=bool), q, self.l2)[0]
            self.workload.append((a, p))

    def predict(self, question):
        x = unit_logs(self.knobs, question["modes"])
        medians = []
        for target, workload in zip(self.targets, self.workload):
            if workload is None:
                medians.append(None)
                continue
            at, (a, p) = self.nearest(target, x), workload
            medians.append(np.exp(a + target["c"][at] + target["q"][at] @ p))
        return {"median": pairs(*medians, len(x))}
