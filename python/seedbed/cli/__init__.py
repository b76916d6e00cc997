"""The command ``seedbed``.

::

    seedbed plans                         list the shipped plans
    seedbed schemes [SCHEME]              list the schemes, or show the formulas of one
    seedbed plan SOURCE [-o FILE]         write any source as a JSON plan
    seedbed show SOURCE                   show each tensor of a plan
    seedbed init SOURCE -o OUTPUT         write the initial weights of a plan to safetensors files
    seedbed verify [SOURCE] PATH          check each bit of such files

Results are written to the standard output, progress and errors to the standard error. ``docs/commands.md`` describes
the options and the exit statuses.

The modules, from the entry point down:

| module | what it does |
|---|---|
| `main` | run a command; turn errors and signals into messages and exit statuses |
| `parser` | define the arguments and the help texts |
| `commands` | one function for each command |
| `sources` | load a plan from each kind of SOURCE |
| `schemes`, `rules` | parse `--scheme` and its numbers; parse `--rule` and `--role` |
| `plan_display` | the rows, JSON objects and histograms of `show` |
| `cluster` | write and verify in this process, or on the Dask cluster of `--dask` |
| `launchers` | find the part of a process for `--part auto` in the environment of its launcher |
| `progress`, `tables` | show progress; print result tables |
| `console` | standard streams that may be closed, full or unread |
| `signals` | turn SIGTERM and SIGHUP into exceptions |
| `exit_status` | the exit statuses |
"""

from seedbed.cli.main import main

__all__ = ["main"]
