#!/usr/bin/env python3
"""scripts/results in a made-up checkout with three small runs.

Usage: results_test.py BIN     BIN is the folder of fewwatt-bench
"""
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
BIN = Path(sys.argv.pop(1)).resolve()

SUITE = """[suite]
name = tiny
simulate = orin-agx-64
grid = 40
workloads = resnet18, lstm, yolov8n
targets = time, power
shots = 4, 8
seeds = 4
samplers = random
learners = physics, gp
budgets = 20:30:5
module = orin-agx-64
[split one]
test = resnet18
[split other two]
train = resnet18
test = lstm, yolov8n
"""
SINES = """[suite]
name = sines
kind = sinusoid
learners = random-init
shots = 5
test_steps = 0, 1
test_tasks = 10
train_steps = 2
meta_batch = 2
hidden = 5
inner_steps = 1
inner_rate = 0.01
outer_rate = 0.01
"""
INI = """[run tiny]
suite = tiny
[run search]
suite = tiny
options = --learners gp --searches 'random -' --measured 5 --seeds 2
[run sines]
suite = sines

[table errors]
corner = learner
run = tiny
metric = time_mape
rows = *
columns =
  4 modes | shots=4
  worst of 8 | shots=8; statistic=worst

[table broken]
corner = learner
run = tiny
metric = violations
rows =
  gp
  NVIDIA's presets | learner=presets
columns =
  4 / 8 modes | shots=4 / 8
  of lstm | shots=8; workload=orin-agx-64/lstm

[table searches]
corner = search
run = search
sampler = search
rows =
  random, 5 measured | learner=random; shots=5
columns =
  inside, % | metric=search_inside

[table sines]
corner = learner
run = sines
shots = 5
rows = *
columns =
  1 step | metric=query_mse@1 ± query_mse_ci95@1
"""
EMPTY = "not measured yet\n<!-- end results -->\n"
README = f"# Tiny\n\n<!-- results errors -->\n{EMPTY}\ntext 12.3\n\n<!-- results broken -->\n{EMPTY}"
PAGE = f"<!-- results revision -->\n{EMPTY}<!-- results searches -->\n{EMPTY}<!-- results sines -->\n{EMPTY}end\n"


class Results(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.root, cls.cache = Path(cls.folder.name) / "checkout", Path(cls.folder.name) / "cache"
        cls.write("benchmarks/suites/tiny.ini", SUITE)
        cls.write("benchmarks/suites/sines.ini", SINES)
        cls.write("benchmarks/results.ini", INI)
        cls.write("benchmarks/peers/none.py", "")
        cls.write("datasets/mappings/none.ini", "")
        cls.write("README.md", README)
        cls.write("docs/page.md", PAGE)
        (cls.root / "scripts").mkdir()
        shutil.copy(SOURCE / "scripts/results", cls.root / "scripts")
        for command in (["init", "-q"], ["add", "-A"],
                        ["-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", "tiny"]):
            subprocess.run(["git", "-C", cls.root, *command], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def write(cls, name, text):
        (cls.root / name).parent.mkdir(parents=True, exist_ok=True)
        (cls.root / name).write_text(text, encoding="utf-8")

    def read(self, name):
        return (self.root / name).read_text(encoding="utf-8")

    def results(self, *arguments, code=0):
        done = subprocess.run([sys.executable, self.root / "scripts/results", *arguments],
                              capture_output=True, text=True, check=False,
                              env={**os.environ, "FEWWATT_BIN": str(BIN), "FEWWATT_RESULTS": str(self.cache)})
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def parts_run(self, said):
        return re.findall(r"^\d\d:\d\d (.*): done in", said, re.MULTILINE)

    def table_csv(self, folder):
        lines = (folder / "table.csv").read_text(encoding="utf-8").splitlines()
        return {tuple(line.split(",")) for line in lines[1:]}

    def test_1_not_measured(self):
        self.results("--check")
        self.assertIn("missing: tiny, 2 of 2 parts: one, other two", self.results("--fill", code=1))
        self.write("README.md", README.replace("not measured", "never measured"))
        self.assertIn("README.md:4: expected 'not measured yet', found 'never measured yet'", self.results("--check", code=1))
        self.assertIn("expected no changes since the last commit", self.results(code=1))
        self.write("README.md", README)

    def test_2_some_runs_leave_the_pages_alone(self):
        said = self.results("tiny")
        self.assertEqual(self.parts_run(said), ["tiny, one", "tiny, other two"])
        self.assertIn("missing: search, 1 of 1 parts: all", said)
        self.assertEqual(self.read("README.md"), README)
        self.assertEqual(self.read("docs/page.md"), PAGE)
        self.assertFalse((self.root / "docs/results").exists())
        tables = next(self.cache.glob("*/tables.md")).read_text(encoding="utf-8")
        self.assertRegex(tables, r"\n\| gp \| [\d.]+ \| [\d.]+ \|\n")
        self.assertIn("## searches\n\nnot measured yet\n", tables)
        self.assertIn("filled the pages but for search, sines", self.results("--fill", "--so-far"))
        self.assertNotIn("not measured", self.read("README.md"))
        page = self.read("docs/page.md")
        self.assertIn("Revision `", page)
        self.assertIn(f"<!-- results searches -->\n{EMPTY}", page)
        self.results("--check")
        self.write("benchmarks/results.ini", INI.replace("suite = tiny\n", "suite = tiny\noptions = --seeds 3\n", 1))
        self.assertIn("[run tiny]: its figures are from 'fewwatt bench --suite benchmarks/suites/tiny.ini'", self.results("--check", code=1))
        self.write("benchmarks/results.ini", INI)
        # Made on another machine: the figures of tiny are here, its rows are not.
        away = self.cache.with_name("away")
        tiny = next(self.cache.glob("*/tiny"))
        tiny.rename(away)
        self.write("README.md", README)
        self.results("--fill", "--so-far")
        self.assertNotIn("not measured", self.read("README.md"))
        self.assertEqual(self.read("docs/page.md"), page)
        away.rename(tiny)
        shutil.rmtree(self.root / "docs/results")
        self.write("README.md", README)
        self.write("docs/page.md", PAGE)

    def test_3_all_runs_fill_the_pages(self):
        said = self.results()
        self.assertEqual(self.parts_run(said), ["search, all", "sines, all"])
        self.assertIn("in all: ", said)
        self.results("--check")
        readme, page = self.read("README.md"), self.read("docs/page.md")
        self.assertNotIn("not measured", readme + page)
        self.assertIn("\ntext 12.3\n", readme)
        self.assertIn("\n| learner | 4 modes | worst of 8 |\n|---|---:|---:|\n", readme)
        self.assertRegex(readme, r"\n\| physics \| [\d.]+ \| [\d.]+ \|\n\| gp \| ")
        self.assertRegex(readme, r"\n\| NVIDIA's presets \| ([\d.]+) / \1 \| [\d.]+ \|\n")
        self.assertRegex(page, r"\n\| random-init \| [\d.]+ ± [\d.]+ \|\n")
        about = json.loads(self.read("docs/results/runs.json"))
        self.assertIn(f"Revision `{about['revision']}`, {about['runs']['tiny']['machine']}; ", page)
        self.assertEqual(set(about["runs"]), {"tiny", "search", "sines"})
        self.assertRegex(self.read("docs/results/search.csv"),  # what no table uses is left out
                         r"^.*,value\nsearch_inside,all,random,search,5,median,[\d.]+\n$")

    def test_4_check_names_what_differs(self):
        good = self.read("README.md")
        digit = re.search(r"\| gp \| .*?(\d) \|\n", good)
        self.write("README.md", good[:digit.start(1)] + str((int(digit[1]) + 1) % 10) + good[digit.end(1):])
        line = good[:digit.start()].count("\n") + 1
        self.assertIn(f"README.md:{line}: expected '{digit[0].strip()}', found '| gp", self.results("--check", code=1))
        self.write("README.md", good.replace("results errors", "results mistakes"))
        said = self.results("--check", code=1)
        self.assertIn("README.md:3: there is no table mistakes in benchmarks/results.ini", said)
        self.assertIn("[table errors]: no page shows it", said)
        self.write("README.md", good.replace("<!-- end results -->\n", "", 1))
        self.assertIn("README.md:3: expected '<!-- end results -->'", self.results("--check", code=1))
        self.write("README.md", good)
        figures = self.read("docs/results/tiny.csv")
        self.write("docs/results/tiny.csv", figures + "\n")
        self.assertIn("docs/results/tiny.csv: expected sha256 ", self.results("--check", code=1))
        self.write("docs/results/tiny.csv", figures)
        self.write("docs/results/tiny.csv", figures.replace("\n", "\r\n"))
        self.assertIn("docs/results/tiny.csv: expected sha256 ", self.results("--check", code=1))
        self.write("docs/results/tiny.csv", figures)
        self.write("README.md", good.replace("| gp |", "| gp\u2028 |", 1))
        self.assertIn(f"README.md:{line}: expected '| gp |", self.results("--check", code=1))
        self.write("README.md", good.replace("text 12.3\n", "text 12.3\r\n"))
        at = good[:good.index("text 12.3")].count("\n") + 1
        self.assertIn(f"README.md:{at}: expected lines that end in \\n", self.results("--check", code=1))
        self.write("README.md", good)
        page = self.read("docs/page.md")
        self.write("docs/page.md", page[page.index("<!-- results searches"):])
        self.assertIn("no page has '<!-- results revision -->'", self.results("--check", code=1))
        self.write("docs/page.md", page)
        self.write("docs/results/old.csv", figures)
        self.assertIn("docs/results/old.csv: docs/results/runs.json does not name it", self.results("--check", code=1))
        (self.root / "docs/results/old.csv").unlink()
        self.results("--check")

    def test_5_goes_on_with_what_is_missing(self):
        before = self.read("README.md")
        self.write("README.md", README)
        part = next(self.cache.glob("*/tiny/other-two"))
        (part / "run.json").unlink()  # interrupted
        (self.root / "docs/results/runs.json").unlink()
        self.assertIn("missing: tiny, 1 of 2 parts: other two", self.results("--fill", code=1))
        self.assertEqual(self.read("README.md"), README)
        subprocess.run(["git", "-C", self.root, "checkout", "-q", "."], check=True)
        self.assertEqual(self.parts_run(self.results()), ["tiny, other two"])
        self.assertEqual(self.read("README.md"), before)
        self.write("README.md", README)
        self.results("--fill")
        self.assertEqual(self.read("README.md"), before)
        rows = part / "rows.jsonl"
        whole = rows.read_bytes()
        for content in (b"", whole[:whole.index(b"\n") + 1]):
            rows.write_bytes(content)
            self.assertIn("other-two/rows.jsonl: expected the rows whose sha256 ", self.results("--fill", code=1))
        value = whole.index(b'"value":') + len(b'"value":')
        rows.write_bytes(whole[:value] + b"NaN" + whole[whole.index(b",", value):])
        about = (part / "run.json").read_text(encoding="utf-8")
        known = json.loads(about)
        (part / "run.json").write_text(json.dumps({**known, "rows_sha256": hashlib.sha256(rows.read_bytes()).hexdigest()}))
        self.assertIn("rows.jsonl:1: value: expected a number, found nan", self.results("--fill", code=1))
        rows.write_bytes(whole)
        for text, expected in (("{", "run.json: expected JSON: "),
                               ("[]", "run.json: expected a key compiler, a str"),
                               (json.dumps({**known, "seconds": None}), "run.json: seconds: expected a number, found None"),
                               (json.dumps({**known, "flags": "-O0"}), "expected parts of one compiler and its flags, found ")):
            (part / "run.json").write_text(text)
            said = self.results("--fill", code=1)
            self.assertIn(expected, said)
            self.assertNotIn("Traceback", said)
        (part / "run.json").write_text(about)
        self.write("benchmarks/suites/sines.ini", SINES + "; more\n")
        self.assertIn("benchmarks/suites/sines.ini has changed since ", self.results("sines", code=1))
        self.write("benchmarks/suites/sines.ini", SINES)

    def test_5_mistakes_in_inis(self):
        for name, text, old, new, expected in (
                ("suites/tiny", SUITE, "split one", "split other-two", "'other-two' and 'other two' have the same folder, other-two"),
                ("suites/tiny", SUITE, "split one", "split ..", "[split ..]: expected a name that can be that of a folder"),
                ("results", INI, "columns =\n  4 modes | shots=4\n", "columns = *\n; ", "expected '*' for rows or for columns"),
                ("results", INI, "'random -'", "'random -", "[run search]: options: No closing quotation"),
                ("results", INI, "=worst", "=best", "expected a statistic out of median, lower, upper, mean, worst, found best"),
                ("results", INI, "[run sines]", "[run]", "[run]: expected a name "),
                ("results", INI, "shots=4\n", "shots\n", "'4 modes': expected KEY=VALUE, found 'shots'")):
            self.write(f"benchmarks/{name}.ini", text.replace(old, new, 1))
            said = self.results("--check", code=1)
            self.assertIn(expected, said)
            self.assertNotIn("Traceback", said)
            self.write(f"benchmarks/{name}.ini", text)

    def test_6_figures_are_those_of_bench(self):
        whole = Path(self.folder.name) / "whole"
        suite = self.root / "benchmarks/suites/tiny.ini"
        subprocess.run([BIN / "fewwatt-bench", "--suite", suite, "--out", whole, "--quiet"], check=True)
        script = f"""
import importlib.machinery, importlib.util, json, sys
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("results", {str(SOURCE / "scripts/results")!r})
module = importlib.util.module_from_spec(importlib.util.spec_from_loader("results", loader))
loader.exec_module(module)
print(module.csv_of(module.figures_of(json.loads(line) for path in sys.argv[1:] for line in open(path))))
"""
        parts = [next(self.cache.glob(f"*/tiny/{part}/rows.jsonl")) for part in ("one", "other-two")]
        said = subprocess.run([sys.executable, "-c", script, *parts], check=True, capture_output=True, text=True).stdout
        figures = {tuple(line.split(",")[:6]): line.split(",")[6] for line in said.split()[1:]}
        compared = 0
        for metric, _, workload, learner, sampler, shots, *values in self.table_csv(whole):
            if metric == "adapt_seconds":
                continue
            for statistic, value in zip(("median", "lower", "upper"), values):
                at = "0" if sampler == "none" else shots  # bench has these in the columns of all shots
                found = figures[metric, workload, learner, sampler, at, statistic]
                self.assertEqual(found, value, (metric, workload, learner, shots, statistic))
                compared += 1
        self.assertGreater(compared, 300)


if __name__ == "__main__":
    unittest.main()
