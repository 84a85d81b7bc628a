"""Checks of what people pass as arrays, before C++ gets it. ValueError says what was expected and what was found."""
import numpy as np

TARGETS = ("time_ms", "power_w")


def shape_text(array):
    return "[" + ",".join(str(n) for n in array.shape) + "]"


def is_frame(data):
    """Whether it is a pandas DataFrame, or something like it."""
    return hasattr(data, "columns") and hasattr(data, "to_numpy")


def whole_numbers(data, name):
    """Any array of whole numbers that fit 32 bits, as int32 in C order. Numbers such as 4.0 are whole; NaN is not."""
    try:
        array = np.asarray(data)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{name}: expected an array, found rows that make none: {error}") from None
    if array.size == 0:
        array = array.astype(np.int32) if array.dtype.kind in "iuf" else array
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name}: expected whole numbers, found dtype {array.dtype}")
    limits = np.iinfo(np.int32)
    with np.errstate(invalid="ignore"):
        bad = (array < limits.min) | (array > limits.max)
        if array.dtype.kind == "f":
            bad |= array != np.floor(array)  # NaN too
    if bad.any():
        raise ValueError(f"{name}: expected whole numbers of 32 bits, found {array[bad][0]}")
    return np.ascontiguousarray(array, dtype=np.int32)


def modes_array(knobs, modes):
    """Modes as int32 [n,k] in C order: an array, or a DataFrame with a column for each knob. knobs: their names, in order."""
    knobs = list(knobs)
    if is_frame(modes):
        missing = [knob for knob in knobs if knob not in modes.columns]
        if missing:
            raise ValueError(f"modes: expected the columns {', '.join(knobs)}, found none called {missing[0]}")
        modes = modes[knobs].to_numpy()
    array = whole_numbers(modes, "modes")
    if array.ndim != 2 or array.shape[1] != len(knobs):
        raise ValueError(f"modes: expected an array [n,{len(knobs)}], columns {', '.join(knobs)}, found {shape_text(array)}")
    return array


def mode_array(knobs, mode):
    """One mode as int32 [k]: an array, or settings by knob. knobs: their names, in order."""
    knobs = list(knobs)
    if isinstance(mode, dict):
        if sorted(map(str, mode)) != sorted(knobs):
            raise ValueError(f"mode: expected the knobs {', '.join(knobs)}, found {', '.join(map(str, mode)) or 'none'}")
        mode = [mode[knob] for knob in knobs]
    array = whole_numbers(mode, "mode")
    if array.shape != (len(knobs),):
        raise ValueError(f"mode: expected an array [{len(knobs)}], {', '.join(knobs)}, found {shape_text(array)}")
    return array


def real_numbers(data, name):
    """Any array of numbers, as float64 in C order; NaN stays."""
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueError(f"{name}: expected an array, found rows that make none: {error}") from None
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name}: expected numbers, found dtype {array.dtype}")
    return np.ascontiguousarray(array, dtype=np.float64)


def targets_array(targets, n, name="targets"):
    """Times in ms and powers in W as float64 [n,2]: an array, or a DataFrame with the columns time_ms and power_w, or one of them."""
    if is_frame(targets):
        known = [column for column in TARGETS if column in targets.columns]
        if not known:
            raise ValueError(f"{name}: expected a column time_ms or power_w, found {', '.join(map(str, targets.columns))}")
        array = np.full((len(targets), 2), np.nan)
        for column in known:
            array[:, TARGETS.index(column)] = real_numbers(targets[column].to_numpy(), column)
    else:
        array = real_numbers(targets, name)
    if array.shape != (n, 2):
        raise ValueError(f"{name}: expected an array [{n},2], time in ms and power in W, found {shape_text(array)}")
    return array


def space_of(space):
    """A PowerModeSpace, or that of 'BOARD' or 'BOARD:GRID'."""
    from ._fewwatt import PowerModeSpace
    if isinstance(space, PowerModeSpace):
        return space
    if isinstance(space, str):
        board, _, grid = space.partition(":")
        return PowerModeSpace.of_board(board, grid or "full")
    raise ValueError(f"space: expected a PowerModeSpace, or the name of a board, found {type(space).__name__}")


def space_of_frame(frame):
    """Every combination of the settings in a DataFrame's columns that are called like knobs."""
    from ._fewwatt import PowerModeSpace
    known = ("cpu_cores", "cpu_khz", "gpu_khz", "mem_khz", "power_limit_mw", "batch_size")
    knobs = [knob for knob in known if knob in frame.columns]
    if not knobs:
        raise ValueError(f"modes: expected columns called as knobs are ({', '.join(known)}), "
                         f"found {', '.join(map(str, frame.columns))}")
    return PowerModeSpace.grid({knob: np.unique(whole_numbers(frame[knob].to_numpy(), knob)).tolist() for knob in knobs})
