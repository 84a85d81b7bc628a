import numpy as np
import pytest

import fewwatt


@pytest.fixture(scope="session")
def board():
    """441 modes of a simulated Jetson AGX Orin that trains yolov8n."""
    return fewwatt.SimulatedDevice("orin-agx-64", "yolov8n", grid="coarse", seed=3)


@pytest.fixture(scope="session")
def measured(board):
    """Ten measured modes [10,4] and their targets [10,2]."""
    modes = fewwatt.sample_modes(board.space, 10, seed=1)
    return modes, board.measure(modes)


@pytest.fixture(scope="session")
def fitted(board, measured):
    """gp, which is quick, and says how sure it is."""
    return fewwatt.FewShotRegressor("gp", space=board.space).fit(*measured)


@pytest.fixture(scope="session")
def profiles():
    """Four workloads on a simulated board in 60 modes."""
    return fewwatt.simulate(["orin-agx-64"], ["resnet18", "mobilenetv3", "yolov8n", "lstm"], grid="60")


def relative_error(predicted, measured):
    return float(np.mean(np.abs(predicted / measured - 1)))
