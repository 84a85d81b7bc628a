"""pandas, where it is there: methods of Profile and SimulatedDevice that are easier to write in Python."""
import numpy as np

from . import _fewwatt
from .arrays import TARGETS, modes_array, space_of, space_of_frame, targets_array, whole_numbers


def profile_to_frame(self):
    """A DataFrame with a row per measured mode: a column per knob, time_ms, power_w, repeats, throttled, and the columns that the
    profile has of spreads and truths. The columns show the profile's memory and cannot be written to; copy() gives ones that can."""
    import pandas
    columns = {knob: self.modes[:, i] for i, knob in enumerate(self.space.knobs)}
    for name in (*TARGETS, "repeats", "throttled", "time_std_ms", "power_std_w", "time_true_ms", "power_true_w"):
        values = getattr(self, name)
        if values is not None:
            columns[name] = values
    return pandas.DataFrame(columns, copy=False)


def profile_from_frame(frame, device, workload, space=None, attributes=None):
    """A Profile of a DataFrame with a row per measured mode, as to_frame() gives it. Without a space, it is all combinations of the
    settings in the frame. Columns that are not used are left out. ValueError names a row or column that is wrong."""
    space = space_of_frame(frame) if space is None else space_of(space)
    targets = targets_array(frame, len(frame))
    optional = {name: np.asarray(frame[name], dtype=float) for name in ("time_std_ms", "power_std_w") if name in frame.columns}
    if "repeats" in frame.columns:
        optional["repeats"] = whole_numbers(frame["repeats"].to_numpy(), "repeats")
    return _fewwatt.Profile.from_arrays(device, workload, space, frame, time_ms=targets[:, 0],
                                        power_w=targets[:, 1], attributes=dict(attributes or {}), **optional)


def measure(self, modes):
    """Measures a mode [k], or modes [n,k]: time in ms and power in W, float64 [2] or [n,2]. DeviceError for a mode that the device
    lacks. The same seed and mode give the same result."""
    if isinstance(modes, dict) or np.ndim(modes) == 1:
        return np.array(self._measure(modes))
    return np.array([self._measure(mode) for mode in modes_array(self.space.knobs, modes)]).reshape(-1, 2)
