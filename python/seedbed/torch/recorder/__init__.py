"""The initialization code of torch modules, run on the meta device and recorded as initializers.

| module | contents |
|---|---|
| `context` | `recording()`, and the results that it writes to the modules that were built |
| `dispatch` | `Recorder`: updates the contents of the tensors that each operation of torch makes or writes |
| `operations` | the distribution of the result of an operation on random values |
| `init_functions` | replacements of the functions of `torch.nn.init` that do nothing on the meta device |
| `records` | the contents of a recorded tensor, found by its storage |
| `contents` | kinds of content: unset, filled, numbers, a distribution, unknown; and the storages that have them |
| `views` | the elements of a tensor that a view of it selects, as indices along each axis |
| `initializers` | the contents of a tensor as an initializer of seedbed |
"""
