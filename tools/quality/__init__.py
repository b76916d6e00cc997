"""The measurements in docs/quality.md, which explains them. `__main__` is the command."""
