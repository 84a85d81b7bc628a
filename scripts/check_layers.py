#!/usr/bin/env python3
"""Checks that every #include goes down the line of layers, that the top level holds what it may, and that tests have their namespaces.

Usage: check_layers.py [FOLDER]     prints FILE:LINE: what is wrong; exit code 1 when something is.
"""
import re
import subprocess
import sys
from pathlib import Path

# Each layer may include itself and what stands before it.
LAYERS = ["hw", "datasets", "tasks", "learners", "meta", "benchmarks"]
# Bindings of all layers, which nothing includes but themselves.
BINDINGS = "python"
TOP_FOLDERS = {*LAYERS, BINDINGS, "docs", "examples", "scripts", "tests", ".ci"}
TOP_FILES = {"CMakeLists.txt", "CMakePresets.json", "Doxyfile", "mkdocs.yml", "README.md", "CONTRIBUTING.md", "CHANGELOG.md",
             "SECURITY.md", "LICENSE"}
TESTS_OF = {"fuzz": "learners"}  # tests of all layers up to this one
BANNED_FOLDERS = {"core", "common", "util", "utils", "helpers", "misc"}

PROGRAM = r"(hw|datasets|tasks|learners|meta|benchmarks)/([a-z-]+_main\.cpp|programs/[a-z_]+\.[hc]pp)"
# (what, headers, files that may include them)
GATES = [
    ("LibTorch", r"(torch|ATen|c10|c10d|caffe2)/.*", r"(tests/)?meta/.*\.cpp|meta/torch\.hpp"),
    ("HDF5", r"(hdf5|hdf5_hl|H5\w*)\.h", r"(tests/)?datasets/.*|learners/\w+_io\.cpp"),
    ("libseccomp", r"seccomp\.h", r"(tests/)?datasets/.*"),
    ("Boost.Program_options", r"boost/program_options.*", rf"hw/(program|manual_json)\.[hc]pp|{PROGRAM}"),
    ("nlohmann/json", r"nlohmann/.*", rf"hw/(program|manual_json)\.cpp|{PROGRAM}|(tests/)?benchmarks/.*|tests/.*_program_test\.cpp"),
    ("Boost's networking", r"boost/(asio|beast).*", r"learners/programs/live\.cpp"),
    ("Eigen", r"Eigen/.*", r"(tests/)?(tasks|learners|meta|benchmarks)/.*|tests/[^/]*|examples/.*"),
    ("pybind11", r"pybind11/.*|Python\.h", r"python/src/.*"),
    ("pagmo2", r"pagmo/.*", r"learners/optimize/evolve\.cpp"),
    ("google/benchmark", r"benchmark/.*", r"benchmarks/.*"),
    ("the programs' common part", r"hw/program\.hpp", rf"hw/(program|manual_json)\.cpp|{PROGRAM}"),
    ("std::regex, which long texts overflow", r"regex", r"tests/.*"),
    ("the door to LibTorch", r"meta/(torch|torch_nets|rl/torch_policy)\.hpp", r"(tests/)?meta/.*\.cpp|meta/(torch_nets|rl/torch_policy)\.hpp"),
]
INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')


def files_of(root):
    """Files that are, or could be, under version control; without one, all but build folders."""
    if (root / ".git").exists():
        listing = subprocess.run(["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard"],
                                 check=True, capture_output=True, text=True).stdout
        return [Path(line) for line in listing.splitlines() if (root / line).is_file()]
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(path for path in found if path.parts[0] not in ("build", "out"))


def check_place(path):
    if len(path.parts) == 1:
        if path.name not in TOP_FILES and not path.name.startswith("."):
            yield f"{path}: no file of the top level; it belongs in a folder"
    elif path.parts[0] not in TOP_FOLDERS:
        yield f"{path}: no folder {path.parts[0]}/ at the top level"
    banned = BANNED_FOLDERS.intersection(path.parts[:-1])
    if banned:
        yield f"{path}: no folder {banned.pop()}/; a type lives in the lowest layer that needs it"


def check_include(path, bracket, header):
    top = Path(header).parts[0]
    folder = path.parts[1] if path.parts[0] == "tests" and len(path.parts) > 2 else path.parts[0]
    folder = TESTS_OF.get(folder, folder)
    if bracket == '"' and top not in (*LAYERS, BINDINGS, "tests"):
        yield f'"{header}" is not written from the root'
    if top in LAYERS and "/" in header and bracket == '"':
        # Shared headers of the tests serve every layer's tests, so they include none.
        allowed = LAYERS[:LAYERS.index(folder) + 1] if folder in LAYERS else LAYERS if folder == BINDINGS else []
        if top not in allowed:
            yield f"{folder}/ may not include {header}"
    if top in ("tests", BINDINGS) and "/" in header and path.parts[0] != top:
        yield f"{folder}/ may not include {header}"
    for what, headers, users in GATES:
        if re.fullmatch(headers, header) and not re.fullmatch(users, path.as_posix()):
            yield f"{what} ({header}) is not for this file"


def check_test(path, text):
    """Several tests are compiled as one source, so what two of them call by the same name must not meet."""
    if path.parts[0] == "tests" and path.name.endswith("_test.cpp") and f"namespace {path.stem} {{" not in text:
        yield f"{path}: what it defines belongs in a namespace {path.stem}"


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent)
    problems = []
    for path in files_of(root):
        problems += check_place(path)
        if path.suffix not in (".hpp", ".cpp", ".h", ".cc"):
            continue
        text = (root / path).read_text(encoding="utf-8")
        problems += check_test(path, text)
        for number, line in enumerate(text.splitlines(), 1):
            include = INCLUDE.match(line)
            if include:
                problems += [f"{path}:{number}: {what}" for what in check_include(path, *include.groups())]
    print("\n".join(problems) if problems else "layers: in order")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
