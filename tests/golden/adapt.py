#!/usr/bin/env python3
"""Checks that fewwatt-adapt gives the models that it always gave, whatever machine and compiler it was built for.

Usage: adapt.py [--emulator COMMAND] [--write] [--show] BIN

Adapts learners that need no training to adapt_measurements.csv and compares what the models predict with
adapt_golden.csv, both beside this script. BIN is the folder of the programs, COMMAND what starts them if not this
machine. --show prints the greatest deviation of each learner. Both files come from

    tests/golden/adapt.py --write build/board/bin

and are written anew when a learner is meant to predict something else: 25 power modes of a simulated board, and every
ninetieth row of what each learner makes of them.
"""
import argparse
import csv
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
MEASUREMENTS, GOLDEN = HERE / "adapt_measurements.csv", HERE / "adapt_golden.csv"
BOARD, WORKLOAD, SPACE, EVERY = "orin-nano-8", "resnet18", "orin-nano-8", 90
KNOBS = ["cpu_cores", "cpu_khz", "gpu_khz", "mem_khz"]
# How far a prediction may be from the golden one, as a fraction of it: mathematical functions differ in the last bit
# between machines and C libraries, and learners that search for hyper-parameters amplify that.
TOLERANCE = {"physics": 1e-7, "gp": 1e-4, "sim_only": 1e-4, "auto": 1e-4}


def simulate(run, folder):
    profiles = folder / "profiles.h5"
    run("simulate", "--device", BOARD, "--workloads", WORKLOAD, "--grid", "25", "--out", profiles)

    def dataset(name):
        text = subprocess.run(["h5dump", "-y", "-m", "%.9g", "-w", "0", "-d", f"/profiles/{BOARD}/{WORKLOAD}/{name}", profiles],
                              check=True, capture_output=True, text=True).stdout
        return re.search(r"DATA \{(.*?)\}", text, re.DOTALL)[1].replace(",", " ").split()

    modes, time, power = (dataset(name) for name in ("modes", "time_ms", "power_w"))
    with open(MEASUREMENTS, "w", encoding="ascii", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*KNOBS, "time_ms", "power_w"])
        width = len(KNOBS)
        table.writerows([*modes[i * width:(i + 1) * width], time[i], power[i]] for i in range(len(time)))


def predictions(run, folder):
    """Rows {learner, column: text}, one for each learner and every ninetieth mode of the space."""
    for learner in TOLERANCE:
        model, table = folder / f"{learner}.h5", folder / f"{learner}.csv"
        run("adapt", "--learner", learner, "--measurements", MEASUREMENTS, "--space", SPACE, "--out", model)
        run("predict", "--model", model, "--out", table)
        with open(table, encoding="ascii", newline="") as file:
            for i, row in enumerate(csv.DictReader(file)):
                if i % EVERY == 0:
                    yield {"learner": learner, **row}


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n")[2][len("Usage: "):])
    parser.add_argument("--emulator", default="")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("bin", type=Path)
    options = parser.parse_args()

    def run(verb, *arguments):
        command = [*options.emulator.split(), options.bin.resolve() / f"fewwatt-{verb}", "--quiet", *arguments]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
        if done.returncode != 0:
            sys.exit(f"golden: {' '.join(map(str, command))}: exit code {done.returncode}\n{done.stderr}")

    environment = dict(os.environ)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.emulator:  # what programs start to read files is for the same machine as they are
            reader = folder / "reader"
            reader.write_text(f'#!/bin/sh\nexec {options.emulator} "{options.bin.resolve()}/fewwatt-reader" "$@"\n', encoding="ascii")
            reader.chmod(0o700)
            environment.update(FEWWATT_READER=str(reader), FEWWATT_SECCOMP="off")
        if options.write:
            simulate(run, folder)
        found = list(predictions(run, folder))
    if options.write:
        columns = list(dict.fromkeys(column for row in found for column in row))
        with open(GOLDEN, "w", encoding="ascii", newline="") as file:
            table = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            table.writeheader()
            table.writerows(found)
        return 0

    with open(GOLDEN, encoding="ascii", newline="") as file:
        golden = list(csv.DictReader(file))
    if len(found) != len(golden):
        sys.exit(f"golden: expected {len(golden)} rows, found {len(found)}")
    worst = dict.fromkeys(TOLERANCE, 0.0)
    problems = []
    for line, (row, expected) in enumerate(zip(found, golden), 2):
        learner = expected["learner"]
        for column, text in expected.items():
            value = row.get(column, "")
            if value == text:
                continue
            try:
                off = abs(float(value) / float(text) - 1)
            except (ValueError, ZeroDivisionError):
                off = float("inf")
            worst[learner] = max(worst[learner], off)
            if not off <= TOLERANCE[learner]:
                problems.append(f"{GOLDEN.name}:{line}: {learner} {column}: expected {text}, found {value or 'nothing'}")
    print("\n".join(problems[:20] + ["..."] * (len(problems) > 20)) if problems else "golden: the same models")
    if options.show:
        for learner, off in worst.items():
            print(f"  {learner}: {off:.1e} of {TOLERANCE[learner]:.0e}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
