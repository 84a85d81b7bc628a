#!/usr/bin/env python3
"""The programs of benchmarks/peers, asked line by line as fewwatt bench does. Needs scikit-learn and PyTorch, and Optuna for optuna-tpe."""
import importlib.util
import json
import math
import subprocess
import sys
import unittest
from pathlib import Path

PEERS = Path(__file__).resolve().parent.parent.parent / "benchmarks/peers"
GRIDS = json.loads((PEERS / "grids.json").read_text(encoding="utf-8"))
KNOBS = [{"role": "cpu_cores", "levels": [2, 4, 8]}, {"role": "gpu_khz", "levels": [100, 200, 400, 800]},
         {"role": "mem_khz", "levels": [1000]}]
MODES = [[cores, gpu, 1000] for cores in KNOBS[0]["levels"] for gpu in KNOBS[1]["levels"]]
HALF = [i for i in range(len(MODES)) if (i // 4 + i) % 2 == 0]  # as the black fields of a chessboard
SEARCHES = ["sk-bo", *(["optuna-tpe"] if importlib.util.find_spec("optuna") else [])]


def cost(mode, work=1.0):
    """ms and W."""
    return [work * (100 / mode[0] + 20000 / mode[1]), 3 + 0.3 * mode[0] + mode[1] / 100]


class Peer:
    """One of them, with the first settings of its grid."""

    def __init__(self, name, **settings):
        settings = {**{key: values[0] for key, values in GRIDS[name].items()}, **settings}
        words = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
        self.process = subprocess.Popen([sys.executable, "-B", PEERS / "peer.py", name, *words], text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def ask(self, do, **question):
        print(json.dumps({"do": do, **question}), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer

    def adapted(self, targets, modes):
        """The answer to predict for all modes."""
        assert self.ask("adapt", knobs=KNOBS, modes=modes, targets=targets, characteristics={}) == {}
        return self.ask("predict", modes=MODES)


class Learners(unittest.TestCase):
    def check(self, peer, error):
        """error: what the mean of |log predicted - log true| from half of the modes has to be below; that of the mean itself is 0.5 for
        time and 0.28 for power."""
        half = [MODES[i] for i in HALF]
        targets = [cost(mode, 1.5) for mode in half]
        answer = peer.adapted(targets, half)
        for column in range(2):
            off = [abs(math.log(pair[column] / cost(mode, 1.5)[column])) for pair, mode in zip(answer["median"], MODES)]
            self.assertLess(sum(off) / len(off), error)
        without_power = peer.adapted([[time_ms, None] for time_ms, _ in targets], half)
        self.assertTrue(all(time_ms > 0 and power_w is None for time_ms, power_w in without_power["median"]))
        one = peer.adapted([cost(MODES[3])], [MODES[3]])
        self.assertTrue(all(value > 0 for pair in one["median"] for value in pair))
        self.assertEqual(peer.adapted(targets, half), answer)  # each adapt starts anew
        return answer

    def test_regressors(self):
        for name, error in (("sk-forest", 0.2), ("sk-boosting", 0.2), ("sk-neighbours", 0.2)):
            with self.subTest(name), Peer(name) as peer:
                self.assertEqual(list(self.check(peer, error)), ["median"])

    def test_the_gaussian_process_says_how_sure_it_is(self):
        with Peer("sk-gp") as peer:
            answer = self.check(peer, 0.05)
            for column in range(2):
                sd, latent = ([pair[column] for pair in answer[key]] for key in ("log_sd", "latent_log_sd"))
                self.assertTrue(all(0 <= without < whole for without, whole in zip(latent, sd)))
                self.assertLess(max(sd[i] for i in HALF), max(sd))

    def test_what_learns_from_other_workloads(self):
        profiles = [{"device": "d", "workload": f"w{work}", "knobs": KNOBS, "modes": MODES, "targets": [cost(mode, work) for mode in MODES],
                     "characteristics": {}} for work in (1, 2, 3)]
        for name, settings, error in (("factorisation", {}, 0.01), ("torch-maml", {"iterations": 100, "steps": 50}, 0.2)):
            with self.subTest(name), Peer(name, **settings) as peer:
                model = peer.ask("train", seed=2**63, shots=[3, 5], profiles=profiles)["model"]
                self.assertEqual(peer.ask("load", model=model), {})
                self.check(peer, error)


class Searches(unittest.TestCase):
    def test_they_measure_no_mode_twice_and_end_with_the_last(self):
        for name in SEARCHES:
            with self.subTest(name), Peer(name) as peer:
                orders = []
                for _ in range(2):
                    begun = peer.ask("search", knobs=KNOBS, characteristics={}, modes=MODES, max_power_w=8.0, planned=8, seed=2**63)
                    self.assertEqual(begun, {})
                    measured = []
                    while (at := peer.ask("ask")["mode"]) is not None:
                        measured.append(at)
                        time_ms, power_w = cost(MODES[at])
                        self.assertEqual(peer.ask("tell", mode=at, time_ms=time_ms, power_w=power_w), {})
                    self.assertEqual(sorted(measured), list(range(len(MODES))))
                    orders.append(measured)
                self.assertEqual(*orders)  # the same seed, the same search


if __name__ == "__main__":
    unittest.main()
