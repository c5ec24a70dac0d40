"""Ending with one's parent: a process that was left alone goes on serving or working for nobody who could stop it.

Who has started a parent can end by force what that has left behind.
"""

import ctypes
import os
import signal
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

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


def end_holders(pipe: int) -> None:
    """SIGKILL each other process that holds an end of *pipe*; on Linux only, elsewhere nobody tells which those are."""
    if not ON_LINUX:
        return
    inherited = os.fstat(pipe)
    for process in Path("/proc").glob("[1-9]*"):
        if int(process.name) != os.getpid() and _holds(process, inherited):
            with suppress(ProcessLookupError):
                os.kill(int(process.name), signal.SIGKILL)


def _holds(process: Path, file: os.stat_result) -> bool:
    """Whether *process*, a folder of ``/proc``, has *file* open; not if that is none of our business."""
    with suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with suppress(FileNotFoundError):  # it was closed meanwhile
                if os.path.samestat(descriptor.stat(), file):
                    return True
    return False
