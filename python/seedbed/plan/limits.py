"""How large a plan may be, so that any plan is read, or refused, in seconds."""

MAX_PLAN_BYTES = 1 << 25
"""The longest file that is read as a plan. (GPT-2's has 9 KB; a safetensors header ends at 100 MB.)"""

MAX_TENSORS = 1 << 18
"""The most tensors: the models of most experts have half as many."""

MAX_MATCHES = 1 << 22
"""Maximum of names times patterns: each name is compared with each pattern until one matches."""

MAX_PATTERN = 1 << 10
"""The most characters of a pattern: `fnmatch.translate` can take their square."""

MAX_PATTERNS = 1 << 16
"""The most characters of all patterns: each pattern is compiled."""

MAX_COMPARED = 1 << 32
"""The most characters of all names times those of all patterns: so many steps it can take to match them."""

MAX_DEFAULT_VALUES = 1 << 24
"""Maximum of tensors times values in the configuration of a default: each tensor is checked with all of them."""

MAX_RANK = 32
"""The most dimensions of a tensor: what every NumPy that seedbed runs on can hold."""

MAX_TENSOR_BYTES = (1 << 63) - 1
"""The most bytes of a tensor; as in NumPy, dimensions of 0 are left out of the product."""

MAX_RANGES = 4
"""The most ranges in a name: experts in layers have two."""

MAX_NAMES = 1 << 26
"""The most characters of all names, once their ranges are expanded. (Those of most experts have a tenth.)"""
