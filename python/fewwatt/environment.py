"""The choice of power modes as an environment with Gymnasium's interface. Gymnasium itself is used where it is installed."""
from __future__ import annotations

from typing import Any, Optional, Sequence

import numpy as np
from numpy.typing import NDArray

from . import _fewwatt

try:
    import gymnasium
except ImportError:
    gymnasium = None


class _Box:
    """What Environment needs of gymnasium.spaces.Box."""

    def __init__(self, low, high, shape, dtype):
        self.low, self.high, self.shape, self.dtype = low, high, shape, np.dtype(dtype)

    def contains(self, value):
        return isinstance(value, np.ndarray) and value.shape == self.shape and value.dtype == self.dtype \
            and bool(((value >= self.low) & (value <= self.high)).all())

    def __repr__(self):
        return f"Box({self.low}, {self.high}, {self.shape}, {self.dtype})"


class _Discrete:
    """What Environment needs of gymnasium.spaces.Discrete."""

    def __init__(self, n):
        self.n, self.shape, self.dtype = n, (), np.dtype(np.int64)
        self._rng = np.random.default_rng()

    def contains(self, value):
        return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and 0 <= value < self.n

    def seed(self, seed=None):
        self._rng = np.random.default_rng(seed)

    def sample(self):
        return int(self._rng.integers(self.n))

    def __repr__(self):
        return f"Discrete({self.n})"


class _PlainEnv:
    """What Environment needs of gymnasium.Env."""

    np_random = None

    def reset(self, *, seed=None, options=None):
        if seed is not None or self.np_random is None:
            self.np_random = np.random.default_rng(seed)

    @property
    def unwrapped(self):
        return self

    def render(self):
        """Nothing is shown."""

    def close(self):
        """Nothing is held."""


class Environment(gymnasium.Env if gymnasium else _PlainEnv):
    """An episode is a number of measurements under a power budget; docs/reinforcement.md has observations and rewards.

    profiles      Profiles with the same modes, one of which is drawn for each episode; or None and
    device        a simulated board, 'BOARD' or 'BOARD:GRID', with
    workloads     the simulated workloads, one of which is drawn for each episode
    task          find: the best mode among the measurements; run: every step counts
    actions       jump: to a mode; move: of one knob by one level
    reward        scaled, posed or log
    penalty       lambda of the reward: what being over the budget costs
    measurements  length of an episode, in [2, 100000]
    candidates    with jump: so many modes, drawn for each episode; 0 = all
    switch_share  part of a step that is lost where it changes the mode, in [0, 0.9]
    noise         of simulated measurements, standard deviation of the log
    changes       of workload and budget among the steps of an episode
    ValueError says what is wrong.
    """

    metadata = {"render_modes": []}
    render_mode = None

    def __init__(self, profiles: Optional[Sequence[_fewwatt.Profile]] = None, *, device: Optional[str] = None,
                 workloads: Sequence[str] = (), task: str = "find", actions: str = "jump", reward: str = "scaled", penalty: float = 10.0,
                 measurements: int = 15, candidates: int = 0, switch_share: float = 0.0, noise: float = 0.01, changes: int = 0) -> None:
        if (profiles is None) == (device is None):
            raise ValueError("Environment: expected profiles or a device, and not both")
        options = _fewwatt._MdpOptions(task, actions, reward, penalty, measurements, candidates, switch_share)
        if device is not None:
            board, _, grid = device.partition(":")
            self._worlds = _fewwatt._Worlds(board, grid or "full", list(workloads), noise, options, changes)
        else:
            self._worlds = _fewwatt._Worlds(list(profiles), options, changes)
        self._begin(0)
        size, count = self._environment.observation_size(), len(self._environment.actions())
        if gymnasium:
            self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float64)
            self.action_space = gymnasium.spaces.Discrete(count)
        else:
            self.observation_space = _Box(-np.inf, np.inf, (size,), np.float64)
            self.action_space = _Discrete(count)
        self._begun = False

    def _begin(self, seed):
        self._environment = self._worlds.environment(seed)
        return self._environment.reset(seed)

    @staticmethod
    def _told(info):
        return {**info, "mode": info["mode"].tolist()}

    def reset(self, *, seed: Optional[int] = None, options: Optional[dict[str, Any]] = None) -> tuple[NDArray[np.float64], dict[str, Any]]:
        """Begins an episode: (observation [observation_space.shape], info). info: mode, time_ms, power_w, budget_w. The same seed
        and actions give the same episode; options are not used."""
        super().reset(seed=seed, options=options)
        observation, info = self._begin(int(self.np_random.integers(2**62)))
        self._begun = True
        return observation, self._told(info)

    def step(self, action: Any) -> tuple[NDArray[np.float64], float, bool, bool, dict[str, Any]]:
        """Takes an action: (observation, reward, terminated, truncated, info). ValueError for one that there is not, RuntimeError
        before reset() and after the end."""
        if not self.action_space.contains(action):
            raise ValueError(f"action: expected a whole number from 0 to {self.action_space.n - 1}, found {action!r}")
        if not self._begun:
            raise RuntimeError("Environment: reset() comes first")
        observation, reward, terminated, truncated, info = self._environment.step(int(action))
        return observation, reward, terminated, truncated, self._told(info)

    def action_features(self) -> NDArray[np.float64]:
        """What each action is, float64 [actions,f]."""
        return self._environment.actions()

    def action_mask(self) -> NDArray[np.int8]:
        """1 for actions that may be taken now, int8 [actions]: a measured mode is not measured again to find the best one."""
        mask = np.ones(self.action_space.n, dtype=np.int8)
        mask[self._environment.spent()] = 0
        return mask
