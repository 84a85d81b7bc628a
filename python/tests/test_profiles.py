"""Profiles, their files, and their arrays, which are views."""
import gc
import os
import weakref

import numpy as np
import pandas
import pytest

import fewwatt

SPACE = fewwatt.PowerModeSpace.grid({"gpu_khz": [100, 200, 400], "mem_khz": [1000, 2000]})


def made(**more):
    return fewwatt.Profile.from_arrays("dev", "work", SPACE, [[400, 1000], [100, 2000]], time_ms=[1.0, 2.0],
                                       power_w=[5.0, np.nan], **more)


def test_rows_ascend_by_mode():
    profile = made(repeats=[3, 1], attributes={"kind": "dnn-training", "time_of": "minibatch", "batch_size": 16})
    assert len(profile) == 2 and profile.modes.tolist() == [[100, 2000], [400, 1000]]
    assert profile.time_ms.tolist() == [2.0, 1.0] and profile.repeats.tolist() == [1, 3]
    assert np.isnan(profile.power_w[0]) and profile.power_w[1] == 5
    assert profile.throttled.tolist() == [False, False] and profile.time_std_ms is None
    assert profile.attributes == {"kind": "dnn-training", "time_of": "minibatch", "batch_size": 16.0}


def test_arrays_show_the_memory_of_the_profile(profiles):
    profile = profiles[0]
    for name in ("modes", "time_ms", "power_w", "repeats", "throttled", "time_true_ms"):
        first, again = getattr(profile, name), getattr(profile, name)
        assert np.shares_memory(first, again) and not first.flags.writeable and not first.flags.owndata
        with pytest.raises(ValueError):
            first[0] = 1
    assert profile.modes.dtype == np.int32 and profile.throttled.dtype == bool


def test_an_array_outlives_its_profile():
    profile = made()
    times = profile.time_ms
    gone = weakref.ref(times)
    del profile
    gc.collect()
    assert times.tolist() == [2.0, 1.0]
    del times
    gc.collect()
    assert gone() is None


def test_files_give_back_what_was_written(tmp_path, profiles):
    path = tmp_path / "p.h5"
    fewwatt.write_profiles(path, profiles)
    read = fewwatt.read_profiles(str(path))
    assert len(fewwatt.read_profiles(path)) == len(read)
    assert [p.workload for p in read] == sorted(p.workload for p in profiles)
    by_name = {p.workload: p for p in profiles}
    for profile in read:
        assert (profile.modes == by_name[profile.workload].modes).all()
        assert (profile.time_ms == by_name[profile.workload].time_ms).all()
        assert profile.attributes == by_name[profile.workload].attributes


def test_files_that_are_none_are_os_errors(tmp_path):
    text = tmp_path / "text.h5"
    text.write_text("no profile\n" * 10)
    with pytest.raises(fewwatt.DataError, match="not an HDF5 file") as caught:
        fewwatt.read_profiles(str(text))
    assert isinstance(caught.value, OSError)
    with pytest.raises(OSError, match="missing.h5"):
        fewwatt.read_profiles(str(tmp_path / "missing.h5"))
    with pytest.raises(OSError):
        fewwatt.write_profiles(str(text), [made()])  # it is no file of profiles
    assert text.read_text().startswith("no profile")
    with pytest.raises(OSError):
        fewwatt.write_profiles(os.fspath(tmp_path / "no folder" / "p.h5"), [made()])


@pytest.mark.parametrize("change, said", [
    (dict(repeats=[1, 0]), "repeats"), (dict(repeats=[1.5, 1]), "repeats"), (dict(time_std_ms=[1.0]), r"time_std_ms.*\[2\]"),
    (dict(attributes={"flops": "many"}), "attribute flops"), (dict(attributes={"colour": 1}), "unknown attribute 'colour'"),
    (dict(attributes={"time_of": "day"}), "time_of"), (dict(attributes={"batch_size": -1}), "batch_size")])
def test_what_is_wrong_is_named(change, said):
    with pytest.raises(ValueError, match=said):
        made(**change)


def test_what_is_wrong_is_named_by_its_row_as_given():
    for arguments, said in [(dict(modes=[[400, 1000], [100, 2000]], time_ms=[-1.0, 2.0]), "time_ms: row 0: .* found -1"),
                            (dict(modes=[[400, 1000], [100, 2500]], time_ms=[1.0, 2.0]), "row 1: no mode of the space"),
                            (dict(modes=[[400, 1000], [100, 2000]], time_ms=[1.0, 2.0], time_std_ms=[-0.5, 0.0]), "time_std_ms: row 0")]:
        with pytest.raises(ValueError, match=said):
            fewwatt.Profile.from_arrays("dev", "work", SPACE, **arguments)


@pytest.mark.parametrize("times", [[1.0, -2.0], [1.0, np.nan], [np.inf, 1.0], [[1.0, 2.0]], ["a", "b"]])
def test_bad_times_are_refused(times):
    with pytest.raises(ValueError):
        fewwatt.Profile.from_arrays("dev", "work", SPACE, [[400, 1000], [100, 2000]], time_ms=times)


def test_names_that_no_file_can_have_are_refused():
    for name in ("", "a/b", "<script>", 'a"b', "a\nb"):
        with pytest.raises(ValueError):
            fewwatt.Profile.from_arrays(name, "work", SPACE, [[400, 1000]], time_ms=[1.0])


def test_a_frame_shows_the_profile_and_makes_it_again(profiles):
    profile = profiles[0]
    frame = profile.to_frame()
    assert list(frame.columns[:4]) == list(profile.space.knobs) and len(frame) == len(profile)
    assert np.shares_memory(frame["time_ms"].to_numpy(), profile.time_ms)
    assert np.shares_memory(frame["gpu_khz"].to_numpy(), profile.modes)
    again = fewwatt.Profile.from_frame(frame, profile.device, profile.workload, profile.space)
    assert (again.modes == profile.modes).all() and (again.time_ms == profile.time_ms).all()
    by_levels = fewwatt.Profile.from_frame(pandas.DataFrame({"gpu_khz": [2, 1], "time_ms": [3.0, 4.0]}), "d", "w")
    assert by_levels.modes.tolist() == [[1], [2]] and by_levels.time_ms.tolist() == [4.0, 3.0]


def test_two_profiles_of_one_name_are_refused(tmp_path):
    with pytest.raises(ValueError, match="dev/work twice"):
        fewwatt.write_profiles(str(tmp_path / "p.h5"), [made(), made()])


def test_simulations_are_repeated_and_bad_names_offer_others():
    first, again = (fewwatt.simulate(["orin-agx-64"], ["lstm"], grid="20", seed=5)[0] for _ in range(2))
    assert (first.time_ms == again.time_ms).all() and first.time_true_ms is not None
    with pytest.raises(ValueError, match="lstm"):
        fewwatt.simulate(["orin-agx-64"], ["lstn"])
    with pytest.raises(ValueError):
        fewwatt.SimulatedDevice("orin", "lstm")


def test_a_device_is_measured_by_mode_rows_or_names(board):
    mode = board.space.mode(7)
    by_name = dict(zip(board.space.knobs, mode.tolist()))
    assert board.measure(mode).shape == (2,)
    assert (board.measure(by_name) == board.measure([mode])[0]).all()
    with pytest.raises(fewwatt.DeviceError):
        board.measure(mode + 1)
    with pytest.raises(ValueError, match="knobs"):
        board.measure({"gpu_khz": 1})


def test_tasks_share_no_mode_and_hold_out_what_they_should(profiles):
    task = fewwatt.sample_task(profiles[0], 5, query=20, seed=1)
    assert len(task.support) == 5 and len(task.query) == 20
    rows = {tuple(mode) for mode in task.support.modes.tolist()}
    assert not rows & {tuple(mode) for mode in task.query.modes.tolist()}
    train, test = fewwatt.split_profiles(profiles, workloads=["lstm"])
    assert [p.workload for p in test] == ["lstm"] and "lstm" not in [p.workload for p in train]
    with pytest.raises(ValueError, match="nothing"):
        fewwatt.split_profiles(profiles, workloads=["nothing"])
    source = fewwatt.TaskSource(train, min_shots=3, max_shots=6, query=10)
    batch, again = (source.batch(4, seed=1, step=2) for _ in range(2))
    assert len({len(task.support) for task in batch}) == 1
    assert all((a.support.modes == b.support.modes).all() for a, b in zip(batch, again))


def test_samples_show_their_own_memory(profiles):
    samples = fewwatt.samples_of(profiles[0], [0, 3])
    assert len(samples) == 2 and np.shares_memory(samples.targets, samples.targets)
    assert not samples.targets.flags.writeable
    assert (samples.targets[1] == [profiles[0].time_ms[3], profiles[0].power_w[3]]).all()
    with pytest.raises(IndexError):
        fewwatt.samples_of(profiles[0], [1000])
