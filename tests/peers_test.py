#!/usr/bin/env python3
"""benchmarks/peers without the packages that the peers need: their settings, how these are chosen, and the lines they exchange."""
import ast
import configparser
import importlib.machinery
import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "benchmarks/peers"
sys.dont_write_bytecode = True
sys.path.insert(0, str(PEERS))

import peer  # noqa: E402
import protocol  # noqa: E402

GRIDS = json.loads((PEERS / "grids.json").read_text(encoding="utf-8"))


def load_tune():
    loader = importlib.machinery.SourceFileLoader("tune", str(PEERS / "tune"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("tune", loader))
    loader.exec_module(module)
    return module


tune = load_tune()


def row(metric, value, **keys):
    return {"suite": "s", "options": {"split": "a"}, "shots": 5, "metric": metric, "value": value, **keys}


class Settings(unittest.TestCase):
    def test_every_peer_has_a_grid_and_a_class(self):
        self.assertEqual(list(GRIDS), list(peer.CLASSES))
        for module, name in peer.CLASSES.values():
            tree = ast.parse((PEERS / f"{module}.py").read_text(encoding="utf-8"))
            self.assertIn(name, [node.name for node in tree.body if isinstance(node, ast.ClassDef)], module)

    def test_tuned_settings_are_of_the_grid(self):
        for name, settings in peer.read("tuned.json").items():
            self.assertIn(settings, tune.combinations(GRIDS[name]), name)

    def test_every_suite_starts_peers_that_there_are(self):
        used = set()
        for path in (ROOT / "benchmarks/suites").glob("peers-*.ini"):
            suite = configparser.ConfigParser(delimiters=("=",), comment_prefixes=(";",), interpolation=None)
            suite.read(path, encoding="utf-8")
            for section in suite.sections():
                if not section.startswith("external "):
                    continue
                name = section.removeprefix("external ")
                self.assertEqual(suite[section]["command"], f"/usr/bin/python3 ../peers/peer.py {name}", path.name)
                self.assertEqual(suite[section]["kind"], tune.KINDS.get(name, "learner"), path.name)
                used.add(name)
        self.assertEqual(used, set(GRIDS))

    def test_given_settings_replace_tuned_ones(self):
        grid = {"a": [1, 2], "b": ["x"]}
        self.assertEqual(peer.settings_of("p", ["a=2"], grid, {"a": 1, "b": "x"}), {"a": 2, "b": "x"})
        self.assertEqual(peer.settings_of("p", ["a=2", 'b="y"'], grid, {}), {"a": 2, "b": "y"})
        for given in (["c=1"], ["a"], ["a=2"], ["a=two", "b=1"]):
            with self.assertRaises(ValueError, msg=given):
                peer.settings_of("p", given, grid, {})

    def test_a_peer_that_there_is_not_is_refused_in_one_line(self):
        for arguments in ([], ["nobody"], ["sk-gp", "mu=3"]):
            done = subprocess.run([sys.executable, "-B", PEERS / "peer.py", *arguments], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            self.assertTrue(done.stderr.startswith("peer.py: "), done.stderr)


class Tune(unittest.TestCase):
    def test_suites_are_of_the_development_list(self):
        names = (ROOT / "benchmarks/lists/development.txt").read_text(encoding="utf-8").split("\n")
        for suites in tune.SUITES.values():
            for suite in suites:
                self.assertIn(suite, names)

    def test_the_first_combination_has_the_first_values(self):
        every = tune.combinations({"a": [1, 2], "b": [3, 4, 5]})
        self.assertEqual(len(every), 6)
        self.assertEqual(every[0], {"a": 1, "b": 3})

    def test_a_suite_has_the_settings_and_no_other_learner(self):
        for name, changes, kind in (("sk-gp", {"seeds": "1"}, "learners"), ("sk-bo", {"learners": "physics"}, "searches")):
            base = "micro-kernels" if kind == "learners" else "search-orin"
            every = tune.combinations(GRIDS[name])
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "deep/suite.ini"
                tune.write_suite(path, base, changes, name, every)
                suite = configparser.ConfigParser(delimiters=("=",), interpolation=None)
                suite.read(path, encoding="utf-8")
            found = [part.split()[0] for part in suite["suite"][kind].split(", ")]
            self.assertEqual(found, [f"{name}-{i}" for i in range(len(every))])
            self.assertTrue(any(section.startswith("split ") for section in suite.sections()))
            for one, settings in zip(found, every):
                words = suite[f"external {one}"]["command"].split()[2:]
                self.assertEqual(words[0], name)
                self.assertEqual(peer.settings_of(name, words[1:], GRIDS[name], {}), settings)

    def test_errors_are_means_over_workloads_then_geometric_ones(self):
        rows = [row("time_mape", 2), row("time_mape", 6), row("power_mape", 9), row("time_nll", 100)]
        self.assertAlmostEqual(tune.error_of(rows), 6)
        self.assertEqual(tune.error_of(rows + [row("failed", 10)]), math.inf)
        self.assertEqual(tune.error_of([]), math.inf)

    def test_a_search_outside_counts_as_a_regret_of_100(self):
        rows = [row("search_inside", 50), row("search_regret_mean", 10), row("search_inside", 0, shots=10)]
        self.assertAlmostEqual(tune.regret_of(rows), (55 + 100) / 2)
        self.assertEqual(tune.regret_of(rows + [row("failed", 10)]), math.inf)

    def test_the_first_of_the_best_is_taken(self):
        self.assertEqual(tune.best_of([math.inf, 2, 1, 1]), 2)
        with self.assertRaises(ValueError):
            tune.best_of([math.inf])


class Protocol(unittest.TestCase):
    class Peer:
        def adapt(self, question):
            if not question["modes"]:
                raise KeyError("no\nmodes")

        def predict(self, question):
            return {"median": [[question["value"], None]]}

    def answers(self, *questions):
        one = self.Peer()
        return [json.loads(protocol.answer_to(one, question if isinstance(question, str) else json.dumps(question)))
                for question in questions]

    def test_questions_reach_the_methods(self):
        self.assertEqual(self.answers({"do": "adapt", "modes": [1]}, {"do": "predict", "value": 2}), [{}, {"median": [[2, None]]}])

    def test_what_is_wrong_is_said_in_one_line(self):
        sys.stderr = open(os.devnull, "w", encoding="utf-8")
        self.addCleanup(setattr, sys, "stderr", sys.__stderr__)
        self.addCleanup(sys.stderr.close)
        for question in ({"do": "adapt", "modes": []}, {"do": "predict", "value": math.nan}, {"do": "train"}, {"do": "__init__"}, {}, "no JSON"):
            (answer,) = self.answers(question)
            self.assertEqual(list(answer), ["error"], question)
            self.assertNotIn("\n", answer["error"])


if __name__ == "__main__":
    unittest.main()
