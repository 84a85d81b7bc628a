"""What is passed as an array: shapes, dtypes, order, NaN, nothing."""
import numpy as np
import pandas
import pytest

import fewwatt

GRID = {"gpu_khz": [100, 200, 400], "mem_khz": [1000, 2000]}


@pytest.fixture()
def space():
    return fewwatt.PowerModeSpace.grid(GRID)


def test_a_space_gives_its_modes_in_ascending_order(space):
    assert len(space) == 6 and space.is_grid
    assert list(space.knobs) == ["gpu_khz", "mem_khz"]
    assert space.modes().tolist() == [[g, m] for g in GRID["gpu_khz"] for m in GRID["mem_khz"]]
    assert space.mode(5).tolist() == [400, 2000]
    assert space.rows_of([[400, 2000], [100, 1000]]).tolist() == [5, 0]
    assert space.describe([200, 1000]) == space.describe({"mem_khz": 1000, "gpu_khz": 200}) == "gpu_khz=200 mem_khz=1000"


def test_a_list_of_modes_is_a_space(space):
    listed = fewwatt.PowerModeSpace.list(GRID, [[400, 1000], [100, 2000]])
    assert not listed.is_grid and listed.modes().tolist() == [[100, 2000], [400, 1000]]
    assert listed != space and listed != 3


def test_spaces_are_copied_and_pickled():
    import copy
    import pickle
    for space in (fewwatt.PowerModeSpace.grid(GRID), fewwatt.PowerModeSpace.list(GRID, [[100, 1000]])):
        assert copy.deepcopy(space) == space and pickle.loads(pickle.dumps(space)) == space
        assert hash(pickle.loads(pickle.dumps(space))) == hash(space)


@pytest.mark.parametrize("knobs, said", [
    ({"cpu": [1]}, "unknown knob 'cpu'"), ({"gpu_khz": []}, "gpu_khz"), ({"gpu_khz": [2, 1]}, "gpu_khz"),
    ({"gpu_khz": ["a"]}, "whole numbers"), ({"gpu_khz": [1.5]}, "whole numbers"), ({"gpu_khz": None}, "whole numbers"), ({}, "knob")])
def test_bad_knobs_are_named(knobs, said):
    with pytest.raises(ValueError, match=said):
        fewwatt.PowerModeSpace.grid(knobs)


def test_a_mode_beyond_the_last_is_an_index_error(space):
    with pytest.raises(IndexError):
        space.mode(6)


@pytest.mark.parametrize("modes, said", [
    ([100, 1000], r"\[n,2\].*found \[2\]"),
    ([[100, 1000, 1]], r"found \[1,3\]"),
    ([[[100, 1000]]], r"found \[1,1,2\]"),
    ([[100.5, 1000]], "found 100.5"),
    ([[np.nan, 1000]], "found nan"),
    ([[2**40, 1000]], "32 bits"),
    ([["a", "b"]], "dtype"),
    ([[None, 1000]], "dtype object"),
    ([[True, False]], "dtype bool"),
    ([[1 + 1j, 2]], "dtype complex"),
    ([[100, 1000], [100]], "modes"),
    ([[100, 1500]], "row 0: no mode of the space"),
    ([[100, 1000], [300, 1000]], "row 1: no mode of the space"),
])
def test_bad_modes_are_named(space, modes, said):
    with pytest.raises(ValueError, match=said):
        space.rows_of(modes)


@pytest.mark.parametrize("make", [
    lambda modes: modes.astype(np.int64), lambda modes: modes.astype(np.uint16), lambda modes: modes.astype(float),
    np.asfortranarray, lambda modes: np.repeat(modes, 2, axis=0)[::2], lambda modes: modes.tolist(),
    lambda modes: modes.astype(">i4")])
def test_any_dtype_and_order_of_whole_numbers_will_do(space, make):
    assert space.rows_of(make(space.modes())).tolist() == list(range(6))


def test_no_modes_are_no_rows(space):
    assert space.rows_of(np.empty((0, 2), dtype=int)).shape == (0,)
    assert space.features(np.empty((0, 2), dtype=int)).shape[0] == 0


@pytest.mark.parametrize("targets, said", [
    ([1.0, 2.0], r"\[2,2\].*found \[2\]"),
    ([[1.0], [2.0]], r"found \[2,1\]"),
    ([[1.0, 2.0]], r"found \[1,2\]"),
    ([["a", "b"], ["c", "d"]], "dtype"),
    ([[1.0, 2.0], [-1.0, 2.0]], "row 1.*positive"),
    ([[1.0, 2.0], [np.inf, 2.0]], "row 1.*positive"),
    ([[0.0, 2.0], [1.0, 2.0]], "row 0.*positive"),
    ([[1.0, 2.0], [None, 2.0]], "dtype object"),
])
def test_bad_targets_are_named(space, targets, said):
    with pytest.raises(ValueError, match=said):
        fewwatt.FewShotRegressor("physics", space=space).fit([[100, 1000], [400, 2000]], targets)


def test_a_mode_twice_is_named(space):
    with pytest.raises(ValueError, match="row 1.*same mode as row 0"):
        fewwatt.FewShotRegressor("physics", space=space).fit([[100, 1000]] * 2, np.ones((2, 2)))


def test_an_empty_support_is_refused(space):
    with pytest.raises(ValueError, match="at least 1"):
        fewwatt.FewShotRegressor("physics", space=space).fit(np.empty((0, 2), dtype=int), np.empty((0, 2)))


def test_noise_factors_must_fit(space):
    regressor = fewwatt.FewShotRegressor("gp", space=space)
    modes, targets = [[100, 1000], [400, 2000]], np.ones((2, 2))
    with pytest.raises(ValueError, match="noise_factors"):
        regressor.fit(modes, targets, noise_factors=np.ones((1, 2)))
    with pytest.raises(ValueError, match="noise_factors"):
        regressor.fit(modes, targets, noise_factors=-np.ones((2, 2)))
    with pytest.raises(ValueError, match="two dimensions"):
        regressor.fit(modes, targets, noise_factors=np.ones(2))


def test_frames_are_taken_by_their_columns(space):
    frame = pandas.DataFrame({"mem_khz": [1000, 2000], "gpu_khz": [100, 400], "time_ms": [9.0, 2.0], "power_w": [3.0, np.nan]})
    by_frame = fewwatt.FewShotRegressor("physics", space=space).fit(frame, frame)
    assert space.rows_of(frame).tolist() == space.rows_of(frame[["gpu_khz", "mem_khz"]].to_numpy()).tolist() == [0, 5]
    assert by_frame.support_.modes.tolist() == [[100, 1000], [400, 2000]]
    assert by_frame.support_.targets[0].tolist() == [9.0, 3.0] and np.isnan(by_frame.support_.targets[1, 1])
    levels_of_frame = fewwatt.FewShotRegressor("physics").fit(frame, frame).space_
    assert levels_of_frame == fewwatt.PowerModeSpace.grid({"gpu_khz": [100, 400], "mem_khz": [1000, 2000]})
    with pytest.raises(ValueError, match="mem_khz"):
        fewwatt.FewShotRegressor("physics", space=space).fit(frame.drop(columns="mem_khz"), frame)
    with pytest.raises(ValueError, match="time_ms or power_w"):
        fewwatt.FewShotRegressor("physics", space=space).fit(frame, frame[["gpu_khz"]])
