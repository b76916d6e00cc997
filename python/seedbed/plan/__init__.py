"""Plans: the tensors of a model, each with its name, shape, dtype and initializer, before any of them is evaluated.

A plan is a JSON object in UTF-8::

    {
      "dtype": "float32",
      "defaults": [
        {"pattern": "*.bias", "initializer": "zeros"},
        {"pattern": "*.weight", "initializer": {"class_name": "RandomNormal", "config": {"stddev": 0.02}}}
      ],
      "tensors": [
        {"name": "wte.weight", "shape": [50257, 768]},
        {"name": "ln_f.weight", "shape": [768], "dtype": "float64", "initializer": "ones"},
        {"name": "ln_f.bias", "shape": [768]}
      ]
    }

* ``tensors`` lists the tensors. A ``name`` is not empty, occurs once, and is not ``__metadata__``, which safetensors
  keeps for itself. A ``shape`` is a list of integers; ``[]`` is a scalar.
* ``initializer`` is what Keras serializes: a name, or an object with ``class_name`` and ``config``. It has no seed:
  every tensor draws from the one seed of the checkpoint, bound to the tensor's name (`seedbed.SeedGenerator.child`).
  Its values depend neither on the order of the tensors nor on which others there are.
* ``defaults`` gives a tensor what its entry does not say. The first entry serves whose ``pattern`` matches the name,
  case included (`fnmatch.fnmatchcase`: ``*``, ``?`` and ``[...]``); it has an initializer and may have a dtype.
* The dtype of a tensor is its own; or else that of its default; or else the one the caller asks for (``--dtype``); or
  else that of the plan; or else float32.

A plan has at most 2**25 bytes and 2**18 tensors, at most 2**22 pairs of a tensor and a default, and 32 dimensions a
tensor. A pattern has at most 2**10 characters, all of them 2**16, and these times those of all names are at most 2**32.
A default's configuration has at most 2**24 values, divided by the tensors. So any plan is read, or refused, in seconds.
Every rule is checked before anything is evaluated. An error says which entry broke which rule, and what was received.
"""

from seedbed.plan.model import Plan, PlannedTensor
from seedbed.plan.reading import load_plan, parse_plan

__all__ = ["Plan", "PlannedTensor", "load_plan", "parse_plan"]
