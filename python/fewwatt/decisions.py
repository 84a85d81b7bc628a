"""The choice of modes: from a model, and by searches and samplers that ask for measurements."""
from __future__ import annotations

from typing import Any, Iterator, Mapping, NamedTuple, Optional, Union

import numpy as np
from numpy.typing import NDArray

from . import _fewwatt
from .arrays import space_of
from .regressor import FewShotRegressor, learner_of

_LIMITS = ("power", "time", "energy")
USUAL_CONFIDENCE = 0.9  # where the learner says how sure it is


class Choice(NamedTuple):
    """A chosen mode. Time in ms, power in W and energy in J are of a unit of work: measured where the mode was, else medians."""
    mode: dict[str, int]  # setting by knob
    row: int  # its number in the space
    time_ms: float
    power_w: float
    energy_j: float
    probability: dict[str, float]  # by limit: with which a new measurement keeps it; of measured modes, with which their mean does
    measured: bool


class Answer(NamedTuple):
    """What a search recommends."""
    mode: NDArray[np.int32]  # [k]
    time_ms: float  # as measured; predicted where the mode was not measured; NaN = unknown
    power_w: float
    objective: float
    measured: bool


def _goal(model, confidence, limits):
    if confidence is None:
        confidence = USUAL_CONFIDENCE if model.prediction.uncertain else 0.5
    return _fewwatt.Goal(confidence=confidence, **limits)


def _model(source):
    if isinstance(source, FewShotRegressor):
        return source.model()
    if isinstance(source, _fewwatt.Model):
        return source
    raise ValueError(f"expected a FewShotRegressor or a Model to choose from, found {type(source).__name__}")


def _choice(model, known, medians, goal, row):
    mode = model.space.mode(row)
    time_ms, power_w = medians[row]
    probability = {name: p for name, p in zip(_LIMITS, _fewwatt._probabilities(known, row, goal)) if p == p}
    measured = bool((model.support.modes == mode).all(axis=1).any())
    return Choice(dict(zip(model.space.knobs, mode.tolist())), row, float(time_ms), float(power_w),
                  float(time_ms * power_w / 1000), probability, measured)


def choose(source: Union[FewShotRegressor, _fewwatt.Model], *, objective: str = "time", max_power_w: float = np.inf,
           max_time_ms: float = np.inf, max_energy_j: float = np.inf, confidence: Optional[float] = None,
           count: Optional[int] = None, eta: float = 1.0, zeus_max_power_w: float = 0.0) -> Any:
    """The best mode within the limits, as a Choice; None where no mode is. With `count` a list of at most so many, best first.

    source      a fitted FewShotRegressor, or a Model
    objective   what is least: time, energy, power, edp, ed2p to ed9p, or zeus with eta and zeus_max_power_w
    confidence  with which probability a new measurement keeps the limits, in [0.5, 1); None: 0.9 where the learner says how sure it
                is, else 0.5
    A measured mode goes by what was measured. ValueError where a limit or objective needs what is not predicted.
    """
    model = _model(source)
    goal = _goal(model, confidence, dict(objective=objective, max_power_w=max_power_w, max_time_ms=max_time_ms,
                                         max_energy_j=max_energy_j, eta=eta, zeus_max_power_w=zeus_max_power_w))
    known = model.with_measurements()
    medians = known.median()
    best = [_choice(model, known, medians, goal, row) for row in _fewwatt._best(known, goal, 1 if count is None else count)]
    if count is None:
        return best[0] if best else None
    return best


def pareto(source: Union[FewShotRegressor, _fewwatt.Model], *, max_power_w: float = np.inf, max_time_ms: float = np.inf,
           max_energy_j: float = np.inf, confidence: Optional[float] = None) -> list[Choice]:
    """The Choices within the limits that no other mode beats in both time and power, ascending by power."""
    model = _model(source)
    goal = _goal(model, confidence, dict(max_power_w=max_power_w, max_time_ms=max_time_ms, max_energy_j=max_energy_j))
    known = model.with_measurements()
    medians = known.median()
    return [_choice(model, known, medians, goal, row) for row in _fewwatt._pareto(known, goal)]


class _Asker:
    """What searches and samplers have in common. One thread at a time."""

    space: _fewwatt.PowerModeSpace

    def ask(self) -> Optional[NDArray[np.int32]]:
        """The next mode to measure, int32 [k]; None when there is none."""
        return self._asked.ask()

    def tell(self, mode: Any, time_ms: float = np.nan, power_w: float = np.nan) -> None:
        """Says what a mode cost, in any order, also a mode that nobody asked for. NaN: not measured; both NaN: it could not be.
        ValueError for a mode that the space lacks, and for a time or power that is infinite or not above 0."""
        for name, value in (("time_ms", time_ms), ("power_w", power_w)):
            if not (np.isnan(value) or 0 < value < np.inf):
                raise ValueError(f"{name}: expected a number above 0, or NaN, found {value}")
        self._asked.tell(mode, time_ms, power_w)

    def __iter__(self) -> Iterator[NDArray[np.int32]]:
        """Asks until there is no more; tell() belongs into the loop."""
        while (mode := self.ask()) is not None:
            yield mode


class Search(_Asker):
    """Finds the best mode within limits by few measurements.

    space     PowerModeSpace, or 'BOARD' or 'BOARD:GRID'
    goal      Goal; None: least time, no limit
    search    name of a search (fewwatt.searches())
    learner, init, settings   as of FewShotRegressor
    planned   number of measurements in all
    stop_gain ends when the next measurement is expected to lower the objective by less than this fraction; 0: never
    options   of the search by name (docs/decisions.md)
    """

    def __init__(self, space: Union[_fewwatt.PowerModeSpace, str], goal: Optional[_fewwatt.Goal] = None, *,
                 search: str = "designed-ei", learner: Any = "auto", init: Any = None, settings: Optional[Mapping[str, Any]] = None,
                 planned: int = 15, seed: int = 0, stop_gain: float = 0.0, options: Optional[Mapping[str, Any]] = None,
                 attributes: Optional[Mapping[str, Any]] = None) -> None:
        self.space = space_of(space)
        made = learner_of(learner, init, settings)[0] if _fewwatt._needs_learner(search) else None
        self._asked = _fewwatt._Search(search, self.space, made, goal or _fewwatt.Goal(), planned, seed, stop_gain, dict(options or {}),
                                       dict(attributes or {}))

    def answer(self) -> Optional[Answer]:
        """The best measured mode within the limits; None while there is none."""
        answer = self._asked.answer()
        return None if answer is None else Answer(*answer)

    def nearest(self) -> Optional[Answer]:
        """The measured mode that breaks the limits least; None before a measurement."""
        answer = self._asked.nearest()
        return None if answer is None else Answer(*answer)

    def expected_gain(self, more: int = 1) -> float:
        """The fraction of the objective that so many further measurements are expected to gain; NaN while nobody knows."""
        return self._asked.expected_gain(more)

    def aim(self, goal: _fewwatt.Goal) -> None:
        """Gives the search a new goal. What was measured still counts."""
        self._asked.aim(goal)


class Sampler(_Asker):
    """Chooses modes to measure, so that all modes are known well. Arguments as of Search; names: fewwatt.samplers()."""

    def __init__(self, space: Union[_fewwatt.PowerModeSpace, str], sampler: str = "maximin", *, learner: Any = "auto", init: Any = None,
                 settings: Optional[Mapping[str, Any]] = None, planned: int = 50, seed: int = 0,
                 attributes: Optional[Mapping[str, Any]] = None) -> None:
        self.space = space_of(space)
        made = learner_of(learner, init, settings)[0] if _fewwatt._sampler_needs_learner(sampler) else None
        self._asked = _fewwatt._Sampler(sampler, self.space, made, planned, seed, dict(attributes or {}))


def sample_modes(space: Union[_fewwatt.PowerModeSpace, str], count: int, sampler: str = "maximin", seed: int = 0) -> NDArray[np.int32]:
    """Modes to measure, int32 [count,k], by a sampler that needs no measurements: random, latin-hypercube, maximin or diversity.
    ValueError where there are fewer modes."""
    asked = Sampler(space, sampler, planned=count, seed=seed)
    modes = [mode for _, mode in zip(range(count), asked)]
    if len(modes) < count:
        raise ValueError(f"count: expected at most {len(modes)} modes of this space, found {count}")
    return np.array(modes, dtype=np.int32).reshape(count, len(asked.space.knobs))
