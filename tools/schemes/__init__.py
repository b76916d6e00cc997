"""What docs/schemes.md is made with."""
