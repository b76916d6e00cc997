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

A tensor has the initializer of its entry, or of the first default whose pattern matches its name. It draws from the
seed of the checkpoint, bound to its name (`seedbed.SeedGenerator.child`). Names may have ranges, ``h.{0..11}.bias``,
and a tensor may be a part of another one. ``docs/plans.md`` has the whole format, ``schema.json`` here its JSON Schema.
"""

from seedbed.plan.json_reader import load_plan, parse_plan
from seedbed.plan.plan import Plan
from seedbed.plan.tensor import Part, PlannedTensor

__all__ = ["Part", "Plan", "PlannedTensor", "load_plan", "parse_plan"]


def __dir__() -> list[str]:
    return __all__
