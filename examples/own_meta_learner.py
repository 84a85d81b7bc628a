#!/usr/bin/env python3
"""A meta-learner in PyTorch, in a table beside fewwatt's own: a net learns features on other workloads, so that a ridge regression on them
fits a new workload from few modes (Bertinetto et al. 2019, "Meta-learning with differentiable closed-form solvers").

usage: own_meta_learner.py [--suite SUITE.ini] [--quick]
"""
import argparse
import pathlib

import numpy as np
import torch

import fewwatt


class Ridge:
    name = "torch-ridge"
    about = "a net of PyTorch whose last layer is fitted in closed form"

    def __init__(self, steps=300):
        self.steps = steps

    def train(self, profiles, seed, steps):
        torch.manual_seed(seed)
        source = fewwatt.TaskSource(profiles, min_shots=5, max_shots=25, query=64)
        features = np.concatenate([p.space.features(p.modes) for p in profiles])
        learned = Learned(features.mean(axis=0), features.std(axis=0) + 1e-9)
        optimizer = torch.optim.Adam(learned.parameters(), lr=3e-3)
        for step in range(steps or self.steps):
            tasks = source.batch(8, seed=seed, step=step)
            loss = sum(learned.loss(task) for task in tasks) / len(tasks)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return learned.eval()


class Learned(torch.nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.mean, self.std = mean, std
        self.net = torch.nn.Sequential(torch.nn.Linear(len(mean), 32), torch.nn.Tanh(), torch.nn.Linear(32, 16), torch.nn.Tanh())
        self.log_l2 = torch.nn.Parameter(torch.tensor(-2.0))
        self.double()

    def features(self, space, modes):
        return self.net(torch.from_numpy((space.features(modes) - self.mean) / self.std))

    def fit(self, samples):
        """Weights [16,2] and mean logs [2]; argmin |phi w - (log y - mean)|^2 + l2 |w|^2."""
        y = torch.log(torch.from_numpy(np.array(samples.targets)))
        phi = self.features(samples.space, samples.modes)
        gram = phi.T @ phi + torch.exp(self.log_l2) * torch.eye(phi.shape[1], dtype=phi.dtype)
        return torch.linalg.solve(gram, phi.T @ (y - y.mean(dim=0))), y.mean(dim=0)

    def loss(self, task):
        weights, mean = self.fit(task.support)
        wanted = torch.log(torch.from_numpy(np.array(task.query.targets)))
        return ((self.features(task.query.space, task.query.modes) @ weights + mean - wanted) ** 2).mean()

    def adapt(self, support):
        with torch.no_grad():
            weights, mean = self.fit(support)

        def predict(modes):  # medians [n,2] in ms and W
            with torch.no_grad():
                return torch.exp(self.features(support.space, modes) @ weights + mean).numpy()
        return predict


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default=pathlib.Path(__file__).with_name("own_meta_learner.ini"))
    parser.add_argument("--quick", action="store_true", help="few draws and shots, to see that it runs")
    options = parser.parse_args()
    torch.set_num_threads(1)  # the suite has threads of its own
    if options.quick:
        result = fewwatt.run_suite(options.suite, ["physics", Ridge(steps=10)], shots=[5], seeds=1, log=print)
    else:
        result = fewwatt.run_suite(options.suite, [Ridge()], log=print)
    print(result.markdown)
    raise SystemExit("\n".join(result.failures) or 0)
