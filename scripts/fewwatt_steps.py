"""Tells `fewwatt profile` that a minibatch is done. Python 3.6 or newer, nothing else; copy it where it is needed.

    from fewwatt_steps import step          from fewwatt_steps import steps
    for batch in loader:                    for batch in steps(loader):
        train(batch)                            train(batch)
        step()

Outside `fewwatt profile` both do nothing. A GPU works on after the call that launched its kernels has returned: where the
loop reads nothing back (loss.item()), steps arrive in bursts at first, and at the GPU's pace once its queue is full.

In other languages: write one newline per minibatch to the descriptor whose number is in FEWWATT_STEP_FD.
"""
import os
import stat

__all__ = ["step", "steps"]


def _pipe_of(fd):
    """What tells the pipe from a file that gets its number later; None when fd is no pipe."""
    try:
        status = os.fstat(fd)
    except (OSError, OverflowError):
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISFIFO(status.st_mode) else None


try:
    _fd = int(os.environ.get("FEWWATT_STEP_FD", "-1"))
except ValueError:
    _fd = -1
_pipe = _pipe_of(_fd) if _fd >= 0 else None


def step():
    """Says that one minibatch is done. Never raises; falls silent when nobody listens any more."""
    global _pipe
    if _pipe is None:
        return
    try:
        if _pipe_of(_fd) == _pipe:
            os.write(_fd, b"\n")
            return
    except OSError:
        pass
    _pipe = None


def steps(iterable):
    """The items of iterable; step() after each, when the loop asks for the next one."""
    for item in iterable:
        yield item
        step()
