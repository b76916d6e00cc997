"""Values that are evaluated on the device of a tensor, with the bits of the engine.

| module | has |
|---|---|
| `operations` | torch's operations on words and numbers |
| `plain` | a region evaluated by operations of torch, on any device; and the custom operator for it |
| `cuda` | a region evaluated by a kernel in CUDA C |
| `ways` | which way a device takes, after a comparison with the engine; `device_report` |
"""
