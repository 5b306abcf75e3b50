"""Where the learner's code runs. A check only asks; it never touches the objects itself."""

from a3lib.check.runner import Runner


class LocalSession(Runner):
    """The objects of this process, as in a notebook; the grader has a session with hard limits.

    A call may take 20 seconds where the system has alarms (Linux, macOS; not Windows, not in a
    thread); memory is not limited.
    """
