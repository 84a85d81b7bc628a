"""What the cases' tests share."""
import csv
import json
import re
import subprocess
from typing import NamedTuple


class Result(NamedTuple):
    code: int
    out: str
    err: str


def run(bin_dir, verb, *arguments):
    done = subprocess.run([bin_dir / f"fewwatt-{verb}", *map(str, arguments)], capture_output=True, text=True,
                          errors="replace", timeout=120, stdin=subprocess.DEVNULL, check=False)
    return Result(done.returncode, done.stdout, done.stderr)


def succeed(bin_dir, verb, *arguments):
    result = run(bin_dir, verb, *arguments)
    assert result.code == 0, f"{verb} ended with {result.code}: {result.err.strip()}"
    return result


def refuse(bin_dir, verb, *arguments, saying=()):
    """One line on stderr that has every text of `saying`."""
    result = run(bin_dir, verb, *arguments)
    assert result.code in (1, 2), f"{verb} ended with {result.code}, expected to be refused; it said {result.out.strip()}"
    lines = result.err.strip().splitlines()
    assert len(lines) == 1, f"expected one line, found {lines}"
    for text in saying:
        assert text in lines[0], f"expected '{text}' in '{lines[0]}'"
    return lines[0]


def dataset(path, name):
    """Numbers of a dataset, nan for missing ones; the name may end a path that only one dataset has."""
    listing = subprocess.run(["h5dump", "-n", path], check=True, capture_output=True, text=True).stdout
    full = [word for word in re.findall(r"^\s*dataset\s+(\S+)", listing, re.MULTILINE) if word.endswith("/" + name)]
    assert len(full) == 1, f"{path}: expected one dataset {name}, found {full}"
    text = subprocess.run(["h5dump", "-y", "-m", "%.12g", "-w", "0", "-d", full[0], path], check=True,
                          capture_output=True, text=True).stdout
    return [float(word) for word in re.search(r"DATA \{(.*?)\}", text, re.DOTALL)[1].replace(",", " ").split()]


def close(found, expected, tolerance=1e-6):
    return len(found) == len(expected) and all(
        a == b or abs(a - b) <= tolerance * abs(b) for a, b in zip(found, expected))


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def report(bin_dir, verb, *arguments):
    return json.loads(succeed(bin_dir, verb, "--json", *arguments).out)
