"""The command ``seedbed``.

::

    seedbed plans                         the plans that ship
    seedbed plan SOURCE [-o FILE]         any source as a JSON plan
    seedbed show SOURCE                   a line for each tensor of a plan
    seedbed init SOURCE -o OUTPUT         the initial weights of a plan, in safetensors files
    seedbed verify [SOURCE] PATH          whether each bit of such files is right

Results go to the standard output, progress and errors to the standard error. ``docs/commands.md`` has the options, and
the exit statuses, which `seedbed.cli.exit_status` names.
"""

from seedbed.cli.main import main

__all__ = ["main"]
