"""Grades real submissions: `python -m a3lib.check.grade --help`.

A submission runs in processes of its own (`child`), shut in as far as the system grants it
(`isolation`; the column "layers" says how far), and sends nothing but numbers; what is right is
judged here. So it cannot change a verdict or another row, and reaches no file and no network.
Not protected against: holes in the kernel; work that somebody else has written; on a system
without Landlock, reading what its user may read; without seccomp (or Linux), the network.
"""
