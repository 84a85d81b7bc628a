"""What all peers make of modes and targets."""

import numpy as np


def unit_logs(knobs, modes):
    """Logs of the settings, each scaled to [0, 1] between the knob's lowest and highest level: [n, knobs]. A knob of one level gives 0."""
    logs = np.log(np.asarray(modes, dtype=float).reshape(len(modes), len(knobs)))
    low = np.log([knob["levels"][0] for knob in knobs])
    range_ = np.log([knob["levels"][-1] for knob in knobs]) - low
    return (logs - low) / np.where(range_ > 0, range_, 1)


def log_targets(targets):
    """Logs of ms and W, [n, 2]; what is not known is NaN."""
    return np.log(np.array(targets, dtype=float).reshape(len(targets), 2))


def pairs(time, power, n):
    """Two columns [n] as a list of pairs; a column None becomes null."""
    columns = [[None] * n if column is None else np.asarray(column, dtype=float).tolist() for column in (time, power)]
    return [list(pair) for pair in zip(*columns)]
