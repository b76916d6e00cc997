"""Maximum sizes of a plan. With them, any plan is read or refused in seconds."""

MAX_PLAN_BYTES = 1 << 25
"""Maximum length of a plan, in bytes. (The plan of GPT-2 has 9 KB; a safetensors header has at most 100 MB.)"""

MAX_TENSORS = 1 << 18
"""Maximum number of tensors: twice that of the model with the most experts."""

MAX_MATCHES = 1 << 22
"""Maximum product of the numbers of names and patterns: each name is compared with each pattern until one matches."""

MAX_PATTERN = 1 << 10
"""Maximum length of a pattern, in characters: the time of `fnmatch.translate` can grow with the square."""

MAX_PATTERNS = 1 << 16
"""Maximum length of all patterns, in characters: each pattern is compiled."""

MAX_COMPARED = 1 << 32
"""Maximum product of the lengths of all names and all patterns: the number of steps that matching can take."""

MAX_DEFAULT_VALUES = 1 << 24
"""Maximum product of the number of tensors and the number of values in a default's configuration: all are checked."""

MAX_RANK = 32
"""Maximum number of dimensions of a tensor, as in the oldest supported NumPy."""

MAX_TENSOR_BYTES = (1 << 63) - 1
"""Maximum size of a tensor, in bytes. As in NumPy, dimensions of 0 are left out of the product."""

MAX_RANGES = 4
"""Maximum number of ranges in a name: experts in layers need two."""

MAX_NAMES = 1 << 26
"""Maximum length of all expanded names, in characters: ten times that of the model with the most experts."""
