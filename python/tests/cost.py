#!/usr/bin/env python3
"""cost.py BIN [--learner NAME] [--runs N]: what Python costs over the program fewwatt-adapt, for adapting to 50 modes of a simulated
Jetson AGX Orin and predicting all 18 096. Both are run by turns on the same rows; the least times count. Fails where Python takes more
than 10 % longer, or predicts other numbers. It needs an otherwise idle machine, so it is no part of the tests.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile
import time

import numpy as np

import fewwatt

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("bin", type=pathlib.Path)
parser.add_argument("--learner", default="auto")
parser.add_argument("--runs", type=int, default=5)
options = parser.parse_args()

with tempfile.TemporaryDirectory() as folder:
    profiles, out = f"{folder}/p.h5", f"{folder}/m.h5"
    fewwatt.write_profiles(profiles, fewwatt.simulate(["orin-agx-64"], ["yolov8n"]))
    command = [options.bin / "fewwatt-adapt", "--profiles", profiles, "--device", "orin-agx-64", "--workload", "yolov8n", "--shots", "50",
               "--learner", options.learner, "--out", out, "--json"]
    program, python = [], []
    for _ in range(options.runs):
        report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        program.append(report["adapt_ms"] + report["predict_ms"])
        model = fewwatt.read_model(out)
        support = model.support
        regressor = fewwatt.FewShotRegressor(options.learner, space=support.space, attributes=model.attributes)
        modes, targets = np.array(support.modes), np.array(support.targets)
        start = time.perf_counter()
        prediction = regressor.fit(modes, targets).prediction()
        python.append(1000 * (time.perf_counter() - start))
    same = np.allclose(prediction.median(), model.prediction.median(), rtol=1e-12, atol=0)  # files have medians, not their logs

more = 100 * (min(python) / min(program) - 1)
print(f"{options.learner}: program {min(program):.1f} ms, Python {min(python):.1f} ms, {more:+.1f} %")
if more > 10 or not same:
    raise SystemExit("expected at most 10 % more, and the same numbers" if same else "expected the numbers of the program, found others")
