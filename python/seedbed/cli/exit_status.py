"""The exit statuses of the command."""

OK = 0
"""The command did what it was asked for. That nobody reads its report to the end is no failure."""

MACHINE = 1
"""The machine is in the way: no such file or directory, no space, no memory, a pipe whose reader has gone."""

USAGE = 2
"""The command, the plan or an option is wrong; or what is to be verified is no checkpoint."""

DIFFERENT = 3
"""The checkpoint differs from what the plan and the seed say."""

SIGNAL = 128
"""Plus the number of a signal that ended the command: 130 after Ctrl-C, 143 after SIGTERM."""
