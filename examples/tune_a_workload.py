#!/usr/bin/env python3
"""Tunes a workload: measures ten modes of a board, predicts all of them, and chooses the fastest one within a power budget. Then a search
finds it by measuring step by step. The board is simulated; where yours is measured, `board.measure(mode)` is your own function.

usage: tune_a_workload.py [--device BOARD] [--workload NAME] [--grid GRID] [--max-power-w W]
"""
import argparse

import fewwatt

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--device", default="orin-agx-64", help=", ".join(fewwatt.boards()))
parser.add_argument("--workload", default="yolov8n")
parser.add_argument("--grid", default="powertrain")
parser.add_argument("--max-power-w", type=float, default=30)
options = parser.parse_args()

board = fewwatt.SimulatedDevice(options.device, options.workload, grid=options.grid, seed=1)
space = board.space
print(space)

# Ten modes that are far from each other, and what they cost: [10,2], ms and W.
modes = fewwatt.sample_modes(space, 10, "maximin")
targets = board.measure(modes)

model = fewwatt.FewShotRegressor(space=space).fit(modes, targets)
median, std = model.predict(return_std=True)
print(f"predicted {len(median)} modes, from {median[:, 0].min():.1f} to {median[:, 0].max():.1f} ms")

choice = fewwatt.choose(model, max_power_w=options.max_power_w)
if choice is None:
    raise SystemExit(f"no mode is within {options.max_power_w:g} W with a probability of 0.9")
time_ms, power_w = board.measure(choice.mode)
print(f"within {options.max_power_w:g} W: {choice.mode}")
print(f"  predicted {choice.time_ms:.1f} ms, {choice.power_w:.1f} W, {100 * choice.probability['power']:.0f} % sure to stay within it")
print(f"  measured  {time_ms:.1f} ms, {power_w:.1f} W")

# The front of time and power, and the file that `fewwatt optimize` and `fewwatt govern` read.
for one in fewwatt.pareto(model, max_power_w=options.max_power_w)[::20]:
    print(f"  {one.power_w:5.1f} W {one.time_ms:8.1f} ms")
# model.model("orin", "yolov8n").write("model.h5")

# Fewer modes that matter for this goal alone: each measurement decides on the next one.
search = fewwatt.Search(space, fewwatt.Goal(max_power_w=options.max_power_w), planned=10)
for mode in search:
    search.tell(mode, *board.measure(mode))
answer = search.answer()
if answer is not None:
    print(f"a search of 10 measurements found {answer.time_ms:.1f} ms at {answer.power_w:.1f} W: {space.describe(answer.mode)}")
