"""Meta-training, which needs LibTorch: the module fewwatt._meta."""
from __future__ import annotations

import os
from typing import Any, Callable, Mapping, Optional, Sequence, Union

from ._fewwatt import Checkpoint, Profile
from .regressor import learner_of


def torch_part():
    """fewwatt._meta. ImportError says what to do where it is not there."""
    try:
        from . import _meta
    except ImportError as error:
        raise ImportError("meta-training and suites need fewwatt._meta, which is built where LibTorch is found (docs/python.md): "
                          f"{error}") from error
    return _meta


def meta_train(learner: str, profiles: Sequence[Profile], *, seed: int = 0, shots: Sequence[int] = (5, 10, 25, 50),
               settings: Optional[Mapping[str, Any]] = None, also: Sequence[Profile] = (),
               init: Union[Checkpoint, str, os.PathLike[str], None] = None,
               log: Optional[Callable[[str], Any]] = None) -> Checkpoint:
    """Trains a meta-learner on profiles of other workloads: a Checkpoint for FewShotRegressor(init=...), or to be written.

    learner   name: auto, maml, reptile, proto, ridge, ... (docs/learners.md)
    profiles  Profiles to train and validate on
    shots     numbers of measured modes that test-time settings are chosen for
    settings  options of the meta-learner by name, such as {'steps': 100}
    also      Profiles to train on but not to validate on
    init      what the same meta-learner trained before: a Checkpoint, or the path of one
    log       function that gets lines for people, such as print
    The same arguments give the same checkpoint. ValueError for a bad name, option or profile. Ctrl-C stops it.
    """
    checkpoint = None if init is None else learner_of("auto", init)[2]
    return torch_part().meta_train(learner, list(profiles), seed, list(shots), dict(settings or {}), list(also), checkpoint, log)


def meta_learners() -> dict[str, str]:
    """What the meta-learners are, by name."""
    return torch_part().meta_learners()


__all__ = ["meta_learners", "meta_train"]
