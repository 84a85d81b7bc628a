"""Suites: tables of learners, those written in Python beside fewwatt's own. They need fewwatt._meta."""
from __future__ import annotations

import dataclasses
import json
import os
from typing import Any, Callable, Optional, Sequence, Union

from .python_learners import Adapter
from .training import torch_part

_FILES = {"rows.jsonl": "rows_text", "table.csv": "csv", "table.md": "markdown", "report.html": "html"}


@dataclasses.dataclass(frozen=True)
class SuiteResult:
    """What a run of a suite gives. docs/metrics.md says what the figures mean."""

    rows_text: str  # a line of JSON for each figure
    csv: str
    markdown: str
    html: str
    failures: list[str]  # a line for each learner that failed; the others went on

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A dict for each figure: suite, device, workload, learner, sampler, shots, seed, metric, value, ..."""
        return [json.loads(line) for line in self.rows_text.splitlines()]

    def to_frame(self) -> Any:
        """The rows as a pandas DataFrame; an infinite value is the float inf."""
        import pandas
        frame = pandas.DataFrame(self.rows)
        frame["value"] = frame["value"].astype(float)
        return frame

    def write(self, folder: Union[str, os.PathLike[str]]) -> None:
        """Writes rows.jsonl, table.csv, table.md and report.html into a folder, which is made if there is none."""
        os.makedirs(folder, exist_ok=True)
        for name, field in _FILES.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(getattr(self, field))


def run_suite(suite: Union[str, os.PathLike[str]], learners: Optional[Sequence[Any]] = None, *,
              data_root: Union[str, os.PathLike[str], None] = None, seed: int = 0, threads: int = 0, timeout_s: Optional[float] = 60.0,
              train_timeout_s: Optional[float] = None, log: Optional[Callable[[str], Any]] = None, **keys: Any) -> SuiteResult:
    """Runs a suite, a .ini file as in benchmarks/suites/.

    learners         what the table shows: names, and learners or meta-learners written in Python (help(fewwatt.python_learners)).
                     Without any name, those of Python are added to the suite's own; None: the suite's own
    data_root        folder of measured profiles; None: what the environment variable FEWWATT_DATA names
    seed, threads    of draws and training; number of threads, 0 = all cores
    timeout_s        seconds that one call of adapt or predict of a Python learner may take; None: any. One that takes longer fails
    train_timeout_s  the same of train
    log              function that gets lines for people, such as print
    keys             of the suite, set anew: shots=[5, 10], seeds=1, samplers='random', splits=..., as texts, numbers or lists

    A SuiteResult; failures of learners are in it. ValueError for a bad learner or key, DataError for bad files. Ctrl-C stops it.
    """
    adapters, names = [], []
    for learner in learners or []:
        if isinstance(learner, str):
            names.append(learner)
        else:
            adapters.append(Adapter(learner, timeout_s, train_timeout_s))
    if names:
        keys["learners"] = names + [adapter.name for adapter in adapters]
    root = data_root if data_root is not None else os.environ.get("FEWWATT_DATA") or "."
    texts = [(key, ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)) for key, value in keys.items()]
    outputs = torch_part().run_suite(os.fspath(suite), adapters, texts, os.fspath(root), seed, threads,
                                     f"fewwatt.run_suite({os.fspath(suite)!r})", log)
    return SuiteResult(outputs.rows, outputs.csv, outputs.markdown, outputs.html, outputs.failures)
