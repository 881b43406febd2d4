"""The largest model that fits: sampling with random weights in the shapes of known models, from small to large, on one GPU.

    python benchmarks/largest.py [--samples 128] [--sizes 1B 8B 32B 70B]

128 samples of one prompt of 700 tokens, 96 new tokens each. Weights are random and made on the GPU, for nothing here depends on what they
are. Says how many samples decoded together where memory did not hold all of them.
"""

from __future__ import annotations

import argparse
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from teachwhy import attention, compute, sampler
from teachwhy.errors import UserError

SHAPES = {"1B": (16, 2048, 8192, 32, 8), "8B": (32, 4096, 14336, 32, 8), "32B": (64, 5120, 27648, 40, 8), "70B": (80, 8192, 28672, 64, 8)}
"""Layers, width, inner width, heads, key heads."""
VOCABULARY = 128_256
NEW = 96


def made(size: str) -> LlamaForCausalLM:
    layers, width, inner, heads, groups = SHAPES[size]
    config = LlamaConfig(vocab_size=VOCABULARY, hidden_size=width, intermediate_size=inner, num_hidden_layers=layers,
                         num_attention_heads=heads, num_key_value_heads=groups, max_position_embeddings=8192, tie_word_embeddings=False,
                         attn_implementation=attention.NAME)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = LlamaForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    return model.eval()


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--samples", type=int, default=128)
    arguments.add_argument("--sizes", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    asked = arguments.parse_args()
    decoding = sampler.Decoding(temperature=0.8, top_p=0.95, max_new_tokens=NEW, top_k=64)  # of random logits no few hold 95 %
    prompt = tuple(torch.randint(100, VOCABULARY, (700,), generator=torch.Generator().manual_seed(1)).tolist())
    print(torch.cuda.get_device_name(), f"{torch.cuda.get_device_properties(0).total_memory / 2**30:.0f} GiB")
    for size in asked.sizes:
        compute.give_back()
        torch.cuda.reset_peak_memory_stats()
        try:
            model = made(size)
            weights = torch.cuda.memory_allocated() / 2**30
            requests = [sampler.Request(prompt, number) for number in range(asked.samples)]
            sampler.sample(model, requests[:2], decoding, frozenset(), slots=2)
            start = time.perf_counter()
            tokens = sum(len(one.tokens) for one in sampler.sample(model, requests, decoding, frozenset(), slots=asked.samples))
            rate = tokens / (time.perf_counter() - start)
        except (torch.OutOfMemoryError, UserError) as error:
            print(f"{size}: does not fit ({str(error)[:100]})", flush=True)
            continue
        finally:
            model = None
        print(f"{size}: weights {weights:.1f} GiB, at most {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB, {rate:.0f} new tokens/s",
              flush=True)


if __name__ == "__main__":
    main()
