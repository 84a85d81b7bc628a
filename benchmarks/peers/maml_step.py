"""The outer step of peer_maml_step in PyTorch, in two forms.

  maml_step.py looped|batched PROBLEM.json

looped: one task after the other, as MAML is usually written. batched: all tasks in one torch.baddbmm, each with its
own copy of the weights. Fails unless the gradient (double) is that of the problem file; then, for every line N on
stdin, takes N outer steps (float) and prints seconds per step.
"""

import json
import sys
import time

import torch
import torch.nn.functional as F

PARTS = ("support_x", "support_y", "query_x", "query_y")


class Looped:
    def __init__(self, problem, dtype):
        sizes, flat = problem["sizes"], torch.tensor(problem["parameters"], dtype=dtype)
        self.inner_steps, self.inner_rate = problem["inner_steps"], problem["inner_rate"]
        self.tasks = [[torch.tensor(task[part], dtype=dtype) for part in PARTS] for task in problem["tasks"]]
        self.parameters, at = [], 0
        for n_in, n_out in zip(sizes, sizes[1:]):
            weight = flat[at : at + n_in * n_out].reshape(n_in, n_out).t().contiguous()
            at += n_in * n_out
            bias = flat[at : at + n_out].clone()
            at += n_out
            self.parameters += [weight.requires_grad_(), bias.requires_grad_()]
        self.optimizer = torch.optim.Adam(self.parameters, lr=problem["outer_rate"])

    @staticmethod
    def net(x, parameters):
        *hidden, (weight, bias) = zip(parameters[::2], parameters[1::2])
        for w, b in hidden:
            x = torch.tanh(F.linear(x, w, b))
        return F.linear(x, weight, bias)

    def loss(self):
        total = 0
        for support_x, support_y, query_x, query_y in self.tasks:
            adapted = self.parameters
            for _ in range(self.inner_steps):
                loss = F.mse_loss(self.net(support_x, adapted), support_y)
                gradients = torch.autograd.grad(loss, adapted, create_graph=True)
                adapted = [p - self.inner_rate * g for p, g in zip(adapted, gradients)]
            total = total + F.mse_loss(self.net(query_x, adapted), query_y)
        return total / len(self.tasks)

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss()
        loss.backward()
        self.optimizer.step()
        return loss

    def flat_gradient(self):
        """In the problem's order: each layer's weight [in, out], then its bias."""
        return torch.cat([p.grad.t().reshape(-1) if p.dim() == 2 else p.grad for p in self.parameters])


class Batched(Looped):
    def __init__(self, problem, dtype):
        super().__init__(problem, dtype)
        self.stacked = [torch.stack(part) for part in zip(*self.tasks)]

    @staticmethod
    def net(x, parameters):
        last = len(parameters) - 2
        for i in range(0, len(parameters), 2):
            x = torch.baddbmm(parameters[i + 1], x, parameters[i])
            x = torch.tanh(x) if i < last else x
        return x

    def loss(self):
        support_x, support_y, query_x, query_y = self.stacked
        n = len(self.tasks)
        adapted = [(p.t() if p.dim() == 2 else p[None]).expand(n, -1, -1) for p in self.parameters]
        for _ in range(self.inner_steps):
            losses = (self.net(support_x, adapted) - support_y).square().mean((1, 2))
            gradients = torch.autograd.grad(losses.sum(), adapted, create_graph=True)
            adapted = [p - self.inner_rate * g for p, g in zip(adapted, gradients)]
        return F.mse_loss(self.net(query_x, adapted), query_y)


def check(peer, problem):
    loss = peer.step().item()
    expected = torch.tensor(problem["gradient"], dtype=torch.double)
    error = ((peer.flat_gradient() - expected).norm() / expected.norm()).item()
    if not (error <= 1e-9 and abs(loss - problem["loss"]) <= 1e-9 * abs(loss)):
        sys.exit(f"maml_step.py: the gradients differ by {error:.2g}, relative; the losses are {loss} and {problem['loss']}")


def main():
    torch.set_num_threads(1)
    form = {"looped": Looped, "batched": Batched}[sys.argv[1]]
    with open(sys.argv[2], encoding="utf-8") as file:
        problem = json.load(file)
    check(form(problem, torch.double), problem)
    peer = form(problem, torch.float)
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            peer.step()
        print((time.perf_counter() - start) / int(line), flush=True)


main()
