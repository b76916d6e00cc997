"""The exit statuses of the command."""

OK = 0
"""Success, even if the reader of the report stops early."""

MACHINE = 1
"""A system error: no such file or directory, no space, no memory, a closed pipe."""

USAGE = 2
"""The command, the plan or an option is wrong, or a file to verify is not a safetensors file."""

DIFFERENT = 3
"""The checkpoint differs from the plan with the seed."""

SIGNAL = 128
"""Added to the number of the signal that ended the command: 130 after Ctrl-C, 143 after SIGTERM."""
