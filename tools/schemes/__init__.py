"""The generator of docs/schemes.md."""
