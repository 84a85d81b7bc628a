"""Pools of threads, memory, and what Python costs."""
import gc
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import fewwatt


def test_a_thousand_calls_from_a_pool_agree(board, measured, fitted):
    expected = fitted.predict()
    modes, targets = measured

    def call(i):
        if i % 10:
            return fitted.predict()
        return fewwatt.FewShotRegressor("gp", space=board.space).fit(modes, targets).predict()
    with ThreadPoolExecutor(32) as pool:
        assert all((result == expected).all() for result in pool.map(call, range(1000)))


def test_the_gil_is_free_while_a_learner_adapts(board, measured):
    modes, targets = measured
    done = threading.Event()
    ticks = []

    def tick():
        while not done.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.001)
    ticker = threading.Thread(target=tick)
    ticker.start()
    try:
        before = time.monotonic()
        fewwatt.FewShotRegressor(space=board.space).fit(modes, targets)  # auto: tens of milliseconds at least
        after = time.monotonic()
    finally:
        done.set()
        ticker.join()
    assert sum(before < t < after for t in ticks) >= 3  # none while it is held, but for the moments around the call


def resident_bytes():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_fits_leave_nothing_behind(board, measured):
    modes, targets = measured
    regressor = fewwatt.FewShotRegressor("physics", space=board.space)

    def fits(n):
        for _ in range(n):
            regressor.fit(modes, targets).predict(modes)
        gc.collect()
        return resident_bytes()
    fits(500)
    before = fits(500)
    assert fits(10_000) - before < 4 << 20


def test_an_error_leaves_nothing_behind(board):
    regressor = fewwatt.FewShotRegressor("physics", space=board.space)

    def errors(n):
        for _ in range(n):
            try:
                regressor.fit(board.space.modes()[:2], -np.ones((2, 2)))
            except ValueError:
                pass
        gc.collect()
        return resident_bytes()
    errors(200)
    before = errors(200)
    assert errors(2000) - before < 4 << 20
