"""What needs LibTorch, in C++: fewwatt.training and fewwatt.suites call it."""
from typing import Any, Callable, Mapping, Optional, Sequence

from ._fewwatt import Checkpoint, Profile

class Diverged(RuntimeError): ...

class Outputs:
    rows: str
    csv: str
    markdown: str
    html: str
    @property
    def failures(self) -> list[str]: ...

def meta_train(learner: str, profiles: Sequence[Profile], seed: int, shots: Sequence[int], settings: Mapping[str, Any],
               also: Sequence[Profile], init: Optional[Checkpoint], log: Optional[Callable[[str], Any]]) -> Checkpoint: ...
def meta_learners() -> dict[str, str]: ...
def run_suite(path: str, adapters: Sequence[Any], keys: Sequence[tuple[str, str]], data_root: str, seed: int, threads: int,
              command: str, log: Optional[Callable[[str], Any]]) -> Outputs: ...
