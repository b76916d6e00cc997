"""Evaluation on the device of a tensor, with the bits of the engine.

| module | contents |
|---|---|
| `operations` | torch's operations on words and numbers |
| `operators` | registration of an evaluation as one custom operator of torch |
| `plain` | evaluation of a region by operations of torch, on any device |
| `cuda` | evaluation of a region by a kernel in CUDA C |
| `ways` | the choice between these and the host, after a comparison with the engine; `device_report` |
"""
