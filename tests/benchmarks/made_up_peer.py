"""A learner, meta-learner or search of others for external_test.cpp: made_up_peer.py BEHAVIOUR."""

import json
import math
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks/peers"))
from protocol import serve  # noqa: E402


class Mean:
    """The geometric mean of the support, for every mode."""

    def adapt(self, question):
        columns = zip(*question["targets"])
        self.mean = [None if None in column else math.exp(sum(map(math.log, column)) / len(column)) for column in columns]

    def predict(self, question):
        return {"median": [self.mean] * len(question["modes"])}


class Scaled(Mean):
    """The same, times the number of training workloads."""

    def train(self, question):
        return {"model": {"factor": len(question["profiles"])}}

    def load(self, question):
        self.factor = question["model"]["factor"]

    def adapt(self, question):
        super().adapt(question)
        self.mean = [self.factor * value for value in self.mean]


class Sure(Mean):
    """With uncertainty."""

    def predict(self, question):
        n = len(question["modes"])
        return {**super().predict(question), "log_sd": [[0.2, 0.1]] * n, "latent_log_sd": [[0.1, 0]] * n}


class InOrder:
    """Measures the modes in their order, and none once one is over the limit by more than half."""

    def search(self, question):
        self.next, self.limit, self.over = 0, question["max_power_w"], False

    def ask(self, _):
        self.next += 1
        return {"mode": None if self.over else self.next - 1}

    def tell(self, question):
        self.over = question["power_w"] > 1.5 * self.limit


class Beyond(InOrder):
    def ask(self, _):
        return {"mode": 36}


class Throws(Mean):
    def adapt(self, question):
        raise ValueError("no such\nmode")


class Printing(Mean):
    def adapt(self, question):
        print("this is not an answer")
        super().adapt(question)


def answering(value):
    class Answering(Mean):
        def predict(self, question):
            return value(len(question["modes"]))

    return Answering


class Hanging(Mean):
    def adapt(self, question):
        time.sleep(100)


class Ending(Mean):
    def adapt(self, question):
        os._exit(7)


BEHAVIOURS = {
    "mean": Mean,
    "scaled": Scaled,
    "sure": Sure,
    "in-order": InOrder,
    "beyond": Beyond,
    "throws": Throws,
    "printing": Printing,
    "hanging": Hanging,
    "ending": Ending,
    "short": answering(lambda n: {"median": [[1, 1]] * (n - 1)}),
    "one-column": answering(lambda n: {"median": [[1]] * n}),
    "negative": answering(lambda n: {"median": [[1, -1]] * n}),
    "missing": answering(lambda n: {"median": [[1, None]] * n}),
    "nan": answering(lambda n: {"median": [[1, math.nan]] * n}),
    "text": answering(lambda n: {"median": [[1, "fast"]] * n}),
    "nothing": answering(lambda n: {}),
    "narrow": answering(lambda n: {"median": [[1, 1]] * n, "log_sd": [[0.1, -1]] * n}),
}

if sys.argv[1] == "nonsense":
    for line in sys.stdin:
        print("hello", flush=True)
elif sys.argv[1] == "list":
    for line in sys.stdin:
        print(json.dumps([1, 2]), flush=True)
else:
    serve(BEHAVIOURS[sys.argv[1]]())
