#!/usr/bin/env python3
"""Checks that inputs of others that went wrong once give their right answers.

Usage: run.py BIN [CASE...]

BIN is the folder of the programs. The cases lie in the folder FEWWATT_CASES, or in ../shared/cases beside the project,
one folder each; CASE is the name of one, or its beginning. What is right is said by the functions in case_*.py beside
this script:

    CASES = {"95-jtop-csv-power-samples": function}

function(bin, folder, tmp) gets the folders of the programs, of the case, which is only read, and one to write to. It
raises AssertionError, with a sentence, where the answer is wrong.
"""
import importlib.util
import os
import sys
import tempfile
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent


def known_cases():
    found = {}
    for path in sorted(HERE.glob("case_*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name, function in module.CASES.items():
            assert name not in found, f"{path.name}: {name} is in another file too"
            found[name] = function
    return found


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(HERE))
    bin_dir, wanted = Path(sys.argv[1]).resolve(), sys.argv[2:]
    root = Path(os.environ.get("FEWWATT_CASES", HERE.parents[2] / "shared/cases"))
    if not root.is_dir():
        print(f"skipped: {root} is not there; FEWWATT_CASES names the folder of the cases")
        return 0
    cases, failed, run = known_cases(), [], 0
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        if wanted and not any(folder.name.startswith(name) for name in wanted):
            continue
        function = cases.pop(folder.name, None)
        if function is None:
            print(f"{folder.name}: no test")
            continue
        run += 1
        with tempfile.TemporaryDirectory() as tmp:
            try:
                function(bin_dir, folder, Path(tmp))
                print(f"{folder.name}: right")
            except AssertionError as error:
                failed.append(folder.name)
                print(f"{folder.name}: WRONG: {error}")
            except Exception:  # a fault of the test
                failed.append(folder.name)
                print(f"{folder.name}: BROKEN: {traceback.format_exc(limit=-2)}")
    if not wanted:
        failed += [f"{name} (there is no such folder)" for name in cases]
    print(f"{run} cases, {len(failed)} failed" + (": " + ", ".join(failed) if failed else ""))
    return 1 if failed or run == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
