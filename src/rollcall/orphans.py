"""Ending with one's parent: a process that was left alone goes on serving or working for nobody who could stop it."""

import ctypes
import os
import signal
import sys
from functools import cache

ON_LINUX = sys.platform == "linux"
_PR_SET_PDEATHSIG = 1


def end_with(parent: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send this process *number* when *parent*, the number of the process that started it, ends.

    A parent that has ended already ends this process here and now. Only Linux can do the former; elsewhere nothing but
    the latter is done. The kernel goes by the *thread* that started us, so that one has to stay until its process ends.
    It does not outlast a change of account, nor is it inherited by what this process starts.
    """
    if ON_LINUX:
        c_library().prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(number))
    if os.getppid() != parent:  # it was gone before the line above, so no signal will come
        os._exit(1)


@cache
def c_library() -> ctypes.CDLL:
    """The system's library; whoever is about to fork asks for it before, as loading it then is not safe."""
    return ctypes.CDLL(None)
