"""Eight models of transformers, torchvision and timm, initialized by seedbed as their own code initializes them.

    python examples/torch_models.py                 check each model, and print the number of compared parameters
    python examples/torch_models.py --markdown      print the standard deviations, for docs/torch-models.md

Each model is built from a small configuration on the meta device; nothing is downloaded. Each parameter's mean and
standard deviation is compared with that of the model's own initialization. For n elements, the standard deviations may
differ by a factor of 1 +- 6 / sqrt(n), and the means by 6 sqrt(2 / n) standard deviations. Chance exceeds these limits
once in 10^8 parameters. The ties must be those of the model, and the result of a forward pass must be finite.
"""

import argparse
import math
import re
import warnings

import timm
import torch
import torchvision
import transformers

import seedbed.torch

SIZES = {"vocab_size": 200, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
TOKENS = {"input_ids": torch.arange(24).reshape(2, 12)}
PIXELS = torch.linspace(-1, 1, 2 * 3 * 64 * 64).reshape(2, 3, 64, 64)


def llama():
    """Llama."""
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**SIZES, intermediate_size=128, num_key_value_heads=2)
    )


def gpt2():
    """GPT-2: its residual projections have smaller initial values, and its head is tied to its embedding."""
    config = transformers.GPT2Config(vocab_size=200, n_embd=64, n_layer=2, n_head=4, n_positions=32)
    return transformers.GPT2LMHeadModel(config)


def bert():
    """BERT, with a row of zeros for padding."""
    return transformers.BertForMaskedLM(
        transformers.BertConfig(**SIZES, intermediate_size=128, max_position_embeddings=32)
    )


def qwen2_moe():
    """Qwen2-MoE, with stacks of experts."""
    config = transformers.Qwen2MoeConfig(
        **SIZES,
        intermediate_size=128,
        moe_intermediate_size=32,
        shared_expert_intermediate_size=64,
        num_experts=4,
        num_experts_per_tok=2,
        num_key_value_heads=2,
    )
    return transformers.Qwen2MoeForCausalLM(config)


def t5():
    """T5: each layer has its own standard deviation."""
    config = transformers.T5Config(vocab_size=200, d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4)
    return transformers.T5ForConditionalGeneration(config)


def vit():
    """ViT of transformers."""
    sizes = {name: size for name, size in SIZES.items() if name != "vocab_size"}
    config = transformers.ViTConfig(**sizes, intermediate_size=128, image_size=64, patch_size=16)
    return transformers.ViTForImageClassification(config)


def resnet18():
    """ResNet-18 of torchvision: its constructor initializes the convolutions."""
    return torchvision.models.resnet18(num_classes=10)


def timm_vit():
    """A small ViT of timm."""
    return timm.create_model(
        "vit_tiny_patch16_224", pretrained=False, img_size=64, embed_dim=64, depth=2, num_heads=4, num_classes=10
    )


INTRODUCTION = """# Eight models and their own initialization

The tables compare standard deviations of parameters: after the model's own initialization, and after
`seedbed.torch.initialize_(model, seed=42)` of the model recorded on the meta device. A row pools all layers.
[torch.md](torch.md) explains recording. `python examples/torch_models.py --markdown` writes this page."""

MODELS = {
    "Llama": (llama, TOKENS),
    "GPT-2": (gpt2, TOKENS),
    "BERT": (bert, TOKENS),
    "Qwen2-MoE": (qwen2_moe, TOKENS),
    "T5": (t5, {**TOKENS, "decoder_input_ids": TOKENS["input_ids"]}),
    "ViT": (vit, {"pixel_values": PIXELS}),
    "ResNet-18": (resnet18, PIXELS),
    "timm's ViT": (timm_vit, PIXELS),
}


def recorded(make, seed=42):
    """Return the model, recorded on the meta device and initialized by seedbed."""
    with seedbed.torch.recording():
        model = make()
    assert all(parameter.is_meta for parameter in model.parameters())
    return seedbed.torch.initialize_(model, seed=seed)


def compared(make):
    """Compare the model's own initialization with seedbed's: yield name, n, and (mean, stddev) of each."""
    torch.manual_seed(0)
    theirs, ours = make(), recorded(make)
    names = [name for name, _ in theirs.named_parameters()]
    assert names == [name for name, _ in ours.named_parameters()], "the ties are those of the model"
    for name, tensor in theirs.named_parameters():
        a, b = (t.detach().double() for t in (tensor, ours.get_parameter(name)))
        yield name, a.numel(), (a.mean(), a.std(correction=0)), (b.mean(), b.std(correction=0))


def check(make, inputs):
    """Compare the parameters and run the model. Return the number of parameters."""
    rows = list(compared(make))
    for name, n, (mean, stddev), (our_mean, our_stddev) in rows:
        spread = max(stddev, our_stddev)
        assert abs(stddev - our_stddev) <= 6 / math.sqrt(n) * spread + 1e-12, (name, n, stddev, our_stddev)
        assert abs(mean - our_mean) <= 6 * math.sqrt(2 / n) * spread + 1e-7, (name, n, mean, our_mean)
    model = recorded(make).eval()
    with torch.no_grad():
        result = model(**inputs) if isinstance(inputs, dict) else model(inputs)
    output = result if isinstance(result, torch.Tensor) else result.logits
    assert output.isfinite().all()
    return len(rows)


def pooled(make):
    """Pool the parameters of one name in all layers: yield name, n, the model's own standard deviation, seedbed's."""
    groups = {}
    for name, n, *moments in compared(make):
        groups.setdefault(re.sub(r"\d+", "*", name), []).append((n, *moments))
    for name, entries in groups.items():
        n = sum(count for count, *_ in entries)
        yield name, n, *(_pooled(n, [(count, moments[side]) for count, *moments in entries]) for side in (0, 1))


def _pooled(n, entries):
    mean = sum(count * moments[0] for count, moments in entries) / n
    square = sum(count * (moments[1] ** 2 + moments[0] ** 2) for count, moments in entries) / n
    return math.sqrt(max(0.0, square - mean**2))


def markdown():
    """Print docs/torch-models.md."""
    print(INTRODUCTION)
    for title, (make, _) in MODELS.items():
        print(f"\n## {title}\n\n| parameters | n | its own | seedbed |\n|---|---:|---:|---:|")
        for name, n, theirs, ours in pooled(make):
            print(f"| {name} | {n} | {theirs:.4g} | {ours:.4g} |")


def main():
    """Check all models, or print their tables."""
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markdown", action="store_true", help="print the tables of docs/torch-models.md")
    if parser.parse_args().markdown:
        return markdown()
    for title, (make, inputs) in MODELS.items():
        print(f"{title}: {check(make, inputs)} parameters are distributed as the model's own")
    return None


if __name__ == "__main__":
    main()
