"""Tells `fewwatt profile` that a minibatch is done. Python 3.6 or newer, nothing else; copy it where it is needed.

    from fewwatt_steps import step          from fewwatt_steps import steps
    for batch in loader:                    for batch in steps(loader):
        train(batch)                            train(batch)
        step()

Outside `fewwatt profile` both do nothing. A GPU works on after the call that launched its kernels has returned: where the
loop reads nothing back (loss.item()), steps arrive in bursts at first, and at the GPU's pace once its queue is full.

Launchers (torchrun, accelerate launch, conda run) close the descriptor that steps go to; then they go through the named pipe that
FEWWATT_STEP_PATH names. Where several processes train together, only one of them should call step(). A container needs
that variable, and the pipe's folder:

    sh -c 'd=${FEWWATT_STEP_PATH%/*}; exec docker run -e FEWWATT_STEP_PATH -v "$d:$d" IMAGE python3 train.py'

In other languages: write one newline per minibatch to the descriptor whose number is in FEWWATT_STEP_FD, or open
the pipe FEWWATT_STEP_PATH and write there.
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


def _inherited():
    """The descriptor that was passed on, and its pipe; another pipe may have its number where a launcher has closed it."""
    try:
        fd = int(os.environ.get("FEWWATT_STEP_FD", "-1"))
    except ValueError:
        return -1, None
    pipe = _pipe_of(fd) if fd >= 0 else None
    if pipe is not None and os.environ.get("FEWWATT_STEP_PIPE", str(pipe[1])) != str(pipe[1]):
        pipe = None
    return fd, pipe


def _opened():
    """The named pipe, opened. Never through a link, never a file that is something else, never waiting for a reader."""
    path = os.environ.get("FEWWATT_STEP_PATH")
    if not path:
        return -1, None
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY)
    except (OSError, ValueError):
        return -1, None
    pipe = _pipe_of(fd)
    if pipe is None:
        os.close(fd)
        return -1, None
    os.set_blocking(fd, True)
    return fd, pipe


_fd, _pipe = _inherited()
if _pipe is None:
    _fd, _pipe = _opened()


def step():
    """Says that one minibatch is done. Never raises; falls silent when nobody listens any more."""
    global _fd, _pipe
    if _pipe is None:
        return
    try:
        if _pipe_of(_fd) != _pipe:  # closed since, as by what makes a daemon of the program
            _fd, _pipe = _opened()
        if _pipe is not None:
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
