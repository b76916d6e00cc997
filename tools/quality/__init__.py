"""The evidence for the values: docs/quality.md. What it measures, and how, is said there; `__main__` is the command."""
