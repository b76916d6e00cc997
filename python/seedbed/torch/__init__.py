"""The initializers of seedbed on tensors and modules of torch, with the bits that one machine gets.

    with seedbed.torch.recording():                  # on the meta device
        model = Model(config)
    seedbed.torch.initialize_(model, seed=42)        # the distributions that the model's own code gives

| | |
|---|---|
| `fill_` | one tensor, in place |
| `initialize_` | every parameter and buffer of a module, in place, by rules or by the module's own initialization |
| `plan_of` | the same as a plan, for a table, a file without the model, or a check of one |
| `recording` | a context in which modules are built on the meta device, and their initialization is recorded |
| `lsuv_` | orthogonal kernels, scaled by the activations of a batch, in place |
| `device_report` | how the tensors of a device get their values |
| `recorded_rules` | a module's own initialization as an object, to print, change, save and load |

A parameter's values depend on the seed, its name, its initializer, and its whole shape and dtype, and on nothing else.
A model on the meta device, sharded over any mesh by `fully_shard` or as DTensors, gets the bits that it has as a whole;
each process evaluates its own part, and none waits for another. No random state is touched.
"""

from seedbed.torch.devices.ways import DeviceReport, device_report
from seedbed.torch.fill import fill_
from seedbed.torch.lsuv import lsuv_
from seedbed.torch.modules import initialize_, plan_of, recorded_rules
from seedbed.torch.recorded_rules import RecordedRules
from seedbed.torch.recording import recording

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
