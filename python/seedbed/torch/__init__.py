"""Adapter of torch: the initializers of seedbed on tensors and modules, with the same bits on any device and mesh.

    with seedbed.torch.recording():                  # on the meta device
        model = Model(config)
    seedbed.torch.initialize_(model, seed=42)        # the distributions of the model's own code

| function | effect |
|---|---|
| `fill_` | fills one tensor, in place |
| `initialize_` | fills every parameter and buffer of a module, in place, by rules or the module's own initialization |
| `plan_of` | returns the same as a plan: a table, or what `seedbed.checkpoint` writes and verifies without the model |
| `recording` | is a context in which modules are built on the meta device, and their initialization is recorded |
| `lsuv_` | fills kernels with orthogonal matrices, scaled by the activations of a batch, in place |
| `device_report` | says how the tensors of a device get their values |
| `recorded_rules` | returns a module's own initialization as an object, to print, change, save and load |

The values of a parameter depend on the seed, its name, its initializer, its whole shape and its dtype, and on nothing
else. A sharded model (`fully_shard`, DTensors) on any mesh has the bits of the unsharded one: each process evaluates
its own shards without communication. Torch's random state does not change.

Where a change belongs:

| module | contents |
|---|---|
| `fill` | `fill_`, and the check that fans are counted in torch's layout |
| `initialize` | `initialize_`, `plan_of`, `recorded_rules`: the functions for whole modules |
| `rules` | for each tensor, the choice between a rule and the module's own initialization; the errors of that |
| `own_initialization` | the module's own initialization: as recorded, or by running its code again |
| `recorder` | the record of initialization code, operation by operation, and its translation to initializers |
| `recorded_rules` | `RecordedRules`: the recorded initializers as a mapping that can be saved |
| `module_tensors` | the parameters and buffers of a module: names, layers, tied tensors |
| `memory` | the memory of a tensor: allocation, the local shard of a DTensor, writing |
| `devices` | evaluation on the device of a tensor |
| `weight_norm` | magnitudes of weight normalization, computed from the directions |
| `lsuv` | `lsuv_` |
| `garbage_collection` | a pause of Python's garbage collector |
"""

from seedbed.torch.devices.ways import DeviceReport, device_report
from seedbed.torch.fill import fill_
from seedbed.torch.initialize import initialize_, plan_of, recorded_rules
from seedbed.torch.lsuv import lsuv_
from seedbed.torch.recorded_rules import RecordedRules
from seedbed.torch.recorder.context import recording

__all__ = [
    "DeviceReport",
    "RecordedRules",
    "device_report",
    "fill_",
    "initialize_",
    "lsuv_",
    "plan_of",
    "recorded_rules",
    "recording",
]


def __dir__() -> list[str]:
    return __all__
