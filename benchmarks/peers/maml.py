"""MAML (Finn et al. 2017) in PyTorch, as it is usually written: second order, one task after the other, plain gradient steps inside,
Adam outside. A task is K random modes of a training workload to adapt to, and other modes of it to be judged by."""

import numpy as np
import torch
import torch.nn.functional as F

from features import log_targets, pairs, unit_logs

OUTER_RATE = 1e-3
TASKS = 4  # of an outer step
QUERIES = 50  # modes of a task, at most
TRAINING_STEPS = 5  # inner steps in training


def net(x, parameters):
    *hidden, (weight, bias) = zip(parameters[::2], parameters[1::2])
    for w, b in hidden:
        x = torch.relu(F.linear(x, w, b))
    return F.linear(x, weight, bias)


def loss(x, y, parameters):
    """Mean squared error over what is known of y."""
    known = ~torch.isnan(y)
    return F.mse_loss(net(x, parameters)[known], y[known])


def adapted(parameters, x, y, rate, steps, training):
    for _ in range(steps):
        gradients = torch.autograd.grad(loss(x, y, parameters), parameters, create_graph=training)
        parameters = [p - rate * g for p, g in zip(parameters, gradients)]
        if not training:
            parameters = [p.detach().requires_grad_() for p in parameters]
    return parameters


class Maml:
    def __init__(self, settings):
        self.hidden, self.iterations = settings["hidden"], settings["iterations"]
        self.rate, self.steps, self.centred = settings["inner_rate"], settings["steps"], settings["centred"]
        torch.set_num_threads(1)

    def standardised(self, logs, middle):
        return torch.tensor((logs - middle) / self.scale, dtype=torch.float32)

    def middle_of(self, support):
        """What is subtracted from logs: the mean of the support itself, or that of all training rows."""
        if not self.centred:
            return self.mean
        known = ~np.isnan(support)
        sums = np.where(known, support, 0).sum(axis=0)
        return np.where(known.any(axis=0), sums / np.maximum(known.sum(axis=0), 1), self.mean)

    def train(self, question):
        torch.manual_seed(question["seed"] % 2**32)
        draws = np.random.default_rng(question["seed"])
        tasks = [(unit_logs(one["knobs"], one["modes"]), log_targets(one["targets"])) for one in question["profiles"]]
        rows = np.concatenate([y for _, y in tasks])
        known = ~np.isnan(rows).all(axis=0)  # a target that nothing is known of stays NaN, and is not learned
        self.mean, self.scale = np.zeros(2), np.ones(2)
        self.mean[known] = np.nanmean(rows[:, known], axis=0)
        self.scale[known] = np.maximum(np.nanstd(rows[:, known], axis=0), 1e-6)
        sizes = [tasks[0][0].shape[1], self.hidden, self.hidden, 2]
        layers = [torch.nn.Linear(n_in, n_out) for n_in, n_out in zip(sizes, sizes[1:])]
        parameters = [p for layer in layers for p in (layer.weight, layer.bias)]
        optimizer = torch.optim.Adam(parameters, lr=OUTER_RATE)
        for _ in range(self.iterations):
            optimizer.zero_grad()
            for _ in range(TASKS):
                x, y = tasks[draws.integers(len(tasks))]
                order = draws.permutation(len(x))
                shots = min(int(draws.choice(question["shots"])), len(x) - 1)
                support, query = order[:shots], order[shots : shots + QUERIES]
                middle = self.middle_of(y[support])
                support_x, query_x = (torch.tensor(x[at], dtype=torch.float32) for at in (support, query))
                support_y, query_y = (self.standardised(y[at], middle) for at in (support, query))
                fitted = adapted(parameters, support_x, support_y, self.rate, TRAINING_STEPS, training=True)
                (loss(query_x, query_y, fitted) / TASKS).backward()
            torch.nn.utils.clip_grad_norm_(parameters, 10)
            optimizer.step()
        model = {"parameters": [p.tolist() for p in parameters], "mean": self.mean.tolist(), "scale": self.scale.tolist()}
        return {"model": model}

    def load(self, question):
        model = question["model"]
        self.mean, self.scale = np.array(model["mean"]), np.array(model["scale"])
        self.parameters = [torch.tensor(p, dtype=torch.float32, requires_grad=True) for p in model["parameters"]]

    def adapt(self, question):
        self.knobs = question["knobs"]
        x, y = unit_logs(self.knobs, question["modes"]), log_targets(question["targets"])
        self.known = ~np.isnan(y).all(axis=0)
        self.middle = self.middle_of(y)
        x = torch.tensor(x, dtype=torch.float32)
        self.fitted = adapted(self.parameters, x, self.standardised(y, self.middle), self.rate, self.steps, training=False)

    def predict(self, question):
        x = torch.tensor(unit_logs(self.knobs, question["modes"]), dtype=torch.float32)
        with torch.no_grad():
            logs = net(x, self.fitted).numpy() * self.scale + self.middle
        return {"median": pairs(*(np.exp(logs[:, t]) if self.known[t] else None for t in range(2)), len(x))}
