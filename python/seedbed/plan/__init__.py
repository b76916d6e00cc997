"""Plans: the name, shape, dtype and initializer of each tensor of a model, before any tensor is evaluated.

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

A tensor has the initializer of its entry, or else of the first default whose pattern matches its name. It draws from
the child of the checkpoint's seed that has its name (`seedbed.SeedGenerator.child`). A name may have ranges, as in
``h.{0..11}.bias``, and a tensor may be a part of another one. ``docs/plans.md`` describes the whole format, and
``schema.json`` in this directory is its JSON Schema.

The modules, from the public functions down:

| module | contents |
|---|---|
| `json_reader` | `load_plan` and `parse_plan`: check and read a plan in JSON |
| `applied_rules` | apply rules to a plan, or make a plan from rules alone |
| `rules` | rules by name pattern, class or predicate, and the rule that decides each tensor |
| `plan` | the class `Plan` |
| `json_writer` | write a plan as JSON |
| `entries` | parse the entries of single tensors |
| `ranges` | expand names with ranges, and compress names to ranges |
| `table` | a plan as a text table |
| `tensor` | the classes `PlannedTensor` and `Part` |
| `limits` | maximum sizes, so that each plan is read or refused in seconds |
"""

from seedbed.plan.json_reader import load_plan, parse_plan
from seedbed.plan.plan import Plan
from seedbed.plan.tensor import Part, PlannedTensor

__all__ = ["Part", "Plan", "PlannedTensor", "load_plan", "parse_plan"]


def __dir__() -> list[str]:
    return __all__
