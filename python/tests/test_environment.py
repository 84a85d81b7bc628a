"""Environment: Gymnasium's interface, checked by its own checker where it is installed, else by the one below."""
import numpy as np
import pytest

import fewwatt

try:
    from gymnasium.utils.env_checker import check_env
except ImportError:

    def check_env(env):
        """What Gymnasium's checker looks at that a plain environment can have."""
        first, info = env.reset(seed=3)
        assert env.observation_space.contains(first) and isinstance(info, dict)
        again, _ = env.reset(seed=3)
        assert (first == again).all()
        runs = []
        for _ in range(2):
            env.reset(seed=5)
            env.action_space.seed(7)
            steps = [env.step(env.action_space.sample()) for _ in range(2)]
            runs.append([(observation.tolist(), reward) for observation, reward, *_ in steps])
            for observation, reward, terminated, truncated, info in steps:
                assert env.observation_space.contains(observation) and isinstance(reward, float)
                assert isinstance(terminated, bool) and isinstance(truncated, bool) and isinstance(info, dict)
        assert runs[0] == runs[1]
        assert env.unwrapped is env and env.metadata["render_modes"] == []
        env.close()


def environment(**more):
    return fewwatt.Environment(device="orin-agx-64:coarse", workloads=["yolov8n", "lstm"], **{"measurements": 5, **more})


@pytest.mark.parametrize("more", [dict(), dict(actions="move", task="run"), dict(candidates=20, reward="log"), dict(changes=2)])
def test_it_is_what_gymnasium_wants(more):
    check_env(environment(**more))


def test_an_episode_has_the_planned_measurements_and_ends():
    env = environment()
    observation, info = env.reset(seed=1)
    assert observation.shape == env.observation_space.shape and info["budget_w"] > 0
    modes = [info["mode"]]
    for step in range(4):
        action = int(np.flatnonzero(env.action_mask())[0])
        _, _, terminated, truncated, info = env.step(action)
        modes.append(info["mode"])
        assert (terminated or truncated) == (step == 3)
    assert len({tuple(mode) for mode in modes}) == 5  # none twice, by the mask
    with pytest.raises(RuntimeError):
        env.step(0)
    assert env.action_features().shape[0] == env.action_space.n


def test_seeds_repeat_episodes_and_episodes_differ():
    env = environment()
    env.reset(seed=1)
    second = env.reset()[0]
    again = environment()
    again.reset(seed=1)
    assert (again.reset()[0] == second).all()
    assert (env.reset()[0] != second).any()


def test_profiles_are_replayed(profiles):
    env = fewwatt.Environment(profiles, measurements=5)
    assert env.action_space.n == len(profiles[0])
    check_env(env)
    other = fewwatt.simulate(["orin-agx-64"], ["lstm"], grid="30")
    with pytest.raises(ValueError, match="the same modes"):
        fewwatt.Environment([*profiles, *other])


@pytest.mark.parametrize("more, said", [
    (dict(task="win"), "find, run"), (dict(actions="fly"), "jump, move"), (dict(reward="gold"), "scaled"),
    (dict(measurements=1), "measurements"), (dict(penalty=-1.0), "lambda"), (dict(switch_share=2.0), "switch_share"),
    (dict(noise=3.0), "noise"), (dict(workloads=["yolov9"]), "yolov8n"), (dict(workloads=[]), "workload"),
    (dict(device="oryn"), "orin"), (dict(profiles=[]), "not both")])
def test_bad_options_are_named(more, said):
    with pytest.raises(ValueError, match=said):
        fewwatt.Environment(**{"device": "orin-agx-64:coarse", "workloads": ["yolov8n"], **more})
    with pytest.raises(ValueError):
        fewwatt.Environment([])


@pytest.mark.parametrize("action", [-1, 441, 0.5, "a", None])
def test_bad_actions_are_named(action):
    env = environment()
    env.reset(seed=1)
    with pytest.raises(ValueError, match="from 0 to 440"):
        env.step(action)


def test_a_step_before_reset_is_an_error():
    with pytest.raises(RuntimeError, match="reset"):
        environment().step(0)
