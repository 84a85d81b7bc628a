#!/usr/bin/env python3
"""Checks that the stubs of the compiled modules name exactly the public classes, functions and members that these have."""
import ast
import inspect
import pathlib
import sys

import fewwatt
from fewwatt import _fewwatt

modules = [_fewwatt]
try:
    from fewwatt import _meta
    modules.append(_meta)
except ImportError:  # a build without LibTorch
    pass


def public(name):
    return not name.startswith("_") or name in ("__version__", "__len__")


def stub_names(body):
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.AnnAssign):
            yield node.target.id


problems = []
for module in modules:
    stub = ast.parse((pathlib.Path(fewwatt.__file__).parent / f"{module.__name__.split('.')[-1]}.pyi").read_text(encoding="utf-8"))
    here = {name for name in vars(module) if public(name)}
    there = {name for name in stub_names(stub.body) if public(name)}
    problems += [f"{module.__name__}.{name}: not in both module and stub" for name in here ^ there]
    for node in stub.body:
        kind = getattr(module, getattr(node, "name", ""), None)
        if not isinstance(node, ast.ClassDef) or not inspect.isclass(kind) or issubclass(kind, Exception):
            continue
        here = {name for name in vars(kind) if public(name)}
        there = {name for name in stub_names(node.body) if public(name)}
        problems += [f"{module.__name__}.{node.name}.{name}: not in both module and stub" for name in here ^ there]
        problems += [f"{module.__name__}.{node.name}.{name}: has no text of its own" for name in here - {"__len__"}
                     if module is _fewwatt and not (inspect.getattr_static(kind, name).__doc__ or "").strip()]
problems += [f"fewwatt.{name}: in __all__, and not there" for name in fewwatt.__all__ if not hasattr(fewwatt, name)]
print("\n".join(problems) or "stubs: in order")
sys.exit(bool(problems))
