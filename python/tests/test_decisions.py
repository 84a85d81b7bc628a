"""The choice of modes, searches and samplers."""
import numpy as np
import pytest

import fewwatt


def test_a_choice_keeps_its_limits_and_nothing_better_does(fitted):
    choice = fewwatt.choose(fitted, max_power_w=25)
    known = fitted.model().with_measurements()
    medians, upper = known.median(), known.quantile(0.9)
    within = upper[:, 1] <= 25
    assert within[choice.row] and choice.time_ms == medians[within, 0].min()
    assert choice.probability["power"] >= 0.9 and "time" not in choice.probability
    assert list(choice.mode.values()) == fitted.space_.mode(choice.row).tolist()
    assert np.isclose(choice.energy_j, choice.time_ms * choice.power_w / 1000)


def test_less_confidence_is_faster_and_other_objectives_choose_others(fitted):
    sure, even = (fewwatt.choose(fitted, max_power_w=25, confidence=c).time_ms for c in (0.99, 0.5))
    assert even <= sure
    least = fewwatt.choose(fitted, objective="energy")
    assert least.energy_j <= fewwatt.choose(fitted).energy_j
    assert fewwatt.choose(fitted, objective="power").power_w == fitted.model().with_measurements().median()[:, 1].min()


def test_no_mode_is_none_and_several_are_a_list(fitted):
    assert fewwatt.choose(fitted, max_power_w=0.1) is None
    assert fewwatt.choose(fitted, max_power_w=0.1, count=3) == []
    three = fewwatt.choose(fitted, max_power_w=25, count=3)
    assert len(three) == 3 and three[0] == fewwatt.choose(fitted, max_power_w=25)
    front = fewwatt.pareto(fitted, max_power_w=25)
    powers, times = [one.power_w for one in front], [one.time_ms for one in front]
    assert powers == sorted(powers) and times == sorted(times, reverse=True)


def test_measured_modes_go_by_what_was_measured(fitted):
    choices = {one.row: one for one in fewwatt.choose(fitted, count=1000)}
    rows = fitted.space_.rows_of(fitted.support_.modes)
    assert all(choices[row].measured for row in rows.tolist()) and sum(one.measured for one in choices.values()) == len(rows)


@pytest.mark.parametrize("arguments, said", [
    (dict(objective="speed"), "energy"), (dict(confidence=1.0), "confidence"), (dict(confidence=0.1), "confidence"),
    (dict(max_power_w=-1), "power"), (dict(max_power_w=np.nan), "power"), (dict(objective="zeus"), "zeus_max_power_w"),
    (dict(objective="zeus", eta=2, zeus_max_power_w=50), "eta")])
def test_bad_limits_are_named(fitted, arguments, said):
    with pytest.raises(ValueError, match=said):
        fewwatt.choose(fitted, **arguments)


def test_what_is_chosen_from_must_know_what_limits_need(board, measured):
    modes, targets = measured
    only_time = np.column_stack([targets[:, 0], np.full(len(targets), np.nan)])
    regressor = fewwatt.FewShotRegressor("gp", space=board.space).fit(modes, only_time)
    assert fewwatt.choose(regressor) is not None
    with pytest.raises(ValueError):
        fewwatt.choose(regressor, max_power_w=20)
    with pytest.raises(ValueError, match="FewShotRegressor or a Model"):
        fewwatt.choose(3)


@pytest.mark.parametrize("name", sorted(fewwatt.searches()))
def test_every_search_finds_a_mode_within_the_budget(board, name):
    search = fewwatt.Search(board.space, fewwatt.Goal(max_power_w=30), search=name, learner="gp", planned=8, seed=1)
    told = {}
    for mode in search:
        told[tuple(mode.tolist())] = time_ms, power_w = board.measure(mode)
        search.tell(mode, time_ms, power_w)
    assert 1 <= len(told) <= 8
    answer = search.answer() or search.nearest()
    assert len(answer.mode) == 4 and answer.objective > 0
    if answer.measured:
        assert tuple(answer.mode.tolist()) in told


def test_searches_refuse_what_is_wrong(board):
    with pytest.raises(ValueError, match="known are"):
        fewwatt.Search(board.space, search="guess")
    with pytest.raises(ValueError, match="colour"):
        fewwatt.Search(board.space, learner="gp", options={"colour": 1})
    search = fewwatt.Search(board.space, learner="gp")
    with pytest.raises(ValueError, match="no mode of the space"):
        search.tell(board.space.mode(0) + 1, 1.0, 1.0)
    with pytest.raises(ValueError, match="found nan"):
        search.tell([np.nan, 1, 1, 1], 1.0, 1.0)
    for cost, said in [((-1.0, 5.0), "time_ms: .* found -1.0"), ((1.0, np.inf), "power_w: .* found inf"), ((0.0, 5.0), "time_ms")]:
        with pytest.raises(ValueError, match=said):
            search.tell(board.space.mode(0), *cost)
    assert search.answer() is None and search.nearest() is None and np.isnan(search.expected_gain())


def test_samplers_give_different_modes_of_the_space(board):
    for name in fewwatt.samplers():
        sampler = fewwatt.Sampler(board.space, name, learner="gp", planned=6, seed=2)
        modes = []
        for _, mode in zip(range(6), sampler):
            modes.append(tuple(mode.tolist()))
            sampler.tell(mode, *board.measure(mode))
        assert len(set(modes)) == 6 and len(board.space.rows_of(modes)) == 6
    assert (fewwatt.sample_modes(board.space, 5, "random", seed=1) == fewwatt.sample_modes(board.space, 5, "random", seed=1)).all()
    with pytest.raises(ValueError, match="at most 441"):
        fewwatt.sample_modes(board.space, 500, "random")
    with pytest.raises(ValueError, match="known are"):
        fewwatt.sample_modes(board.space, 5, "guess")
