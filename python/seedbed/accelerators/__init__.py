"""The values of float32, bfloat16 and float16 tensors in the arithmetic of other devices than the CPU.

| module | has |
|---|---|
| `samples` | the input of an evaluation: a distribution, the words of an address, the runs of a region |
| `tables` | the engine's float32 tables |
| `arithmetic` | words to values, in 32-bit integers and float32, for any library of arrays |
| `uniform` | the float32 uniform in 32-bit integers alone |
| `sensitive` | addresses whose values change if a device fuses, flushes or rounds |
| `cuda` | the same arithmetic as CUDA C |

No module here imports a framework: `seedbed.torch` and `seedbed.jax` give their operations. `docs/streams.md` specifies
the values.
"""
