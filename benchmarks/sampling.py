"""Sampling: our sampler beside transformers' generate (and openvino-genai or vLLM, in environments of their own), on the embedded model.

    python benchmarks/sampling.py [--case one|few|different] [--scale 1.0] [--repeats 3] [--openvino PYTHON] [--vllm PYTHON]

`one` is 128 samples of one scenario of about 700 tokens, `few` 16 samples of each of 16, `different` one of each of 128 (300 to 500
tokens); 96 new tokens each. `--scale` takes that share of the samples. For openvino-genai give the python of an environment with it:

    python -m venv /tmp/ov && /tmp/ov/bin/pip install openvino-genai && python benchmarks/sampling.py --openvino /tmp/ov/bin/python

It reads the same GGUF, keeps its 4-bit weights, and has prefix caching on. On a GPU give the python of an environment with vLLM; it reads
the same weights in bf16, with prefix caching, which is emptied before each run, and everybody runs once before time is taken.
The allocator keeps freed memory for ours and for `generate` (`compute.keep_memory`).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

NEW = 96
CASES = {"one": (1, 128), "few": (16, 16), "different": (128, 1)}
"""Prompts, and samples of each."""


def prompts_of(tokenizer, case: str, scale: float) -> list[list[int]]:
    from teachwhy import chat
    from teachwhy.scenarios import family

    prompts, samples = CASES[case]
    if samples > 1:
        samples = max(1, round(samples * scale))
    else:
        prompts = max(1, round(prompts * scale))
    tokens = [chat.prompt_tokens(tokenizer, draw.messages) for draw in family("blackmail").draws(max(prompts, 2), 1)]
    if case == "one":  # two inboxes, one after the other: about 700 tokens
        tokens = [(tokens[0] + tokens[1])[:700]]
    return [prompt for prompt in tokens[:prompts] for _ in range(samples)]


def ours(model, prompts: list[list[int]]) -> int:
    from teachwhy import sampler

    decoding = sampler.Decoding(temperature=0.8, top_p=0.95, max_new_tokens=NEW)
    requests = [sampler.Request(tuple(prompt), number) for number, prompt in enumerate(prompts)]
    return sum(len(c.tokens) for c in sampler.sample(model, requests, decoding, frozenset(), slots=128, lanes=2))


def generate(model, tokenizer, prompts: list[list[int]], batch: int = 32) -> int:
    """What a user would write: left-padded batches and `generate` with the same decoding and length."""
    import torch

    for start in range(0, len(prompts), batch):
        part = prompts[start: start + batch]
        longest = max(map(len, part))
        ids = torch.tensor([[tokenizer.pad_token_id] * (longest - len(p)) + p for p in part], device=model.device)
        mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in part], device=model.device)
        with torch.inference_mode():
            model.generate(ids, attention_mask=mask, max_new_tokens=NEW, min_new_tokens=NEW, do_sample=True, temperature=0.8, top_p=0.95,
                           top_k=0, pad_token_id=tokenizer.pad_token_id).tolist()
    return len(prompts) * NEW


OPENVINO = """
import json, sys, time
import numpy, openvino, openvino_genai as ov
path, new, prompts = json.load(sys.stdin)
scheduler = ov.SchedulerConfig()
scheduler.enable_prefix_caching, scheduler.cache_size, scheduler.max_num_seqs = True, 4, 256
pipe = ov.ContinuousBatchingPipeline(path, scheduler, "CPU")
def config(seed):
    return ov.GenerationConfig(max_new_tokens=new, min_new_tokens=new, ignore_eos=True, do_sample=True, temperature=0.8, top_p=0.95,
                               rng_seed=seed)
ids = [openvino.Tensor(numpy.array([p], dtype=numpy.int64)) for p in prompts]
start = time.perf_counter()
found = pipe.generate(ids, [config(i) for i in range(len(ids))])
print(sum(len(r.m_generation_ids[0]) for r in found) / (time.perf_counter() - start))
"""


def openvino(python: str, prompts: list[list[int]]) -> float:
    """New tokens per second of openvino-genai, loading left out."""
    from teachwhy import weights

    asked = json.dumps([str(weights.embedded_gguf()), NEW, prompts])
    done = subprocess.run([python, "-c", OPENVINO], input=asked, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"openvino-genai failed:\n{done.stderr[-2000:]}")
    return float(done.stdout.strip().splitlines()[-1])


VLLM = """
import json, sys, time
if __name__ == "__main__":
    path, new, repeats, cases = json.load(sys.stdin)
    from vllm import LLM, SamplingParams
    llm = LLM(path, dtype="bfloat16", enable_prefix_caching=True, max_model_len=2048, max_num_seqs=256, gpu_memory_utilization=0.5,
              disable_log_stats=True)
    chosen = SamplingParams(temperature=0.8, top_p=0.95, max_tokens=new, ignore_eos=True, detokenize=False)
    speeds = {case: [] for case in cases}
    for case, prompts in cases.items():
        for _ in range(repeats + 1):
            llm.reset_prefix_cache()
            start = time.perf_counter()
            found = llm.generate([{"prompt_token_ids": p} for p in prompts], chosen, use_tqdm=False)
            speeds[case].append(sum(len(r.outputs[0].token_ids) for r in found) / (time.perf_counter() - start))
    print(json.dumps({case: found[1:] for case, found in speeds.items()}))
"""


def vllm(python: str, cases: dict[str, list[list[int]]], repeats: int) -> dict[str, list[float]]:
    """New tokens per second of vLLM in several runs of each case, loading and first runs left out."""
    import tempfile

    from teachwhy import weights

    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:  # it starts processes of its own, which read the script again
        script.write(VLLM)
        script.flush()
        asked = json.dumps([str(weights.embedded()), NEW, repeats, cases])
        done = subprocess.run([python, script.name], input=asked, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"vLLM failed:\n{done.stderr[-6000:]}")
    found: dict[str, list[float]] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--case", choices=[*CASES, "all"], default="all")
    arguments.add_argument("--scale", type=float, default=1.0)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--openvino", type=Path)
    arguments.add_argument("--vllm", type=Path)
    given = arguments.parse_args()
    from teachwhy import attention, weights

    model, tokenizer = weights.load(weights.embedded())
    chosen = list(CASES) if given.case == "all" else [given.case]
    asked = {case: prompts_of(tokenizer, case, given.scale) for case in chosen}
    beside = vllm(str(given.vllm), asked, given.repeats) if given.vllm else {}
    for case, prompts in asked.items():
        speeds: dict[str, list[float]] = {"ours": [], "generate": [], **({"openvino": []} if given.openvino else {})}
        for repeat in range(-1 if model.device.type == "cuda" else 0, given.repeats):
            for name in speeds:
                if name == "openvino":
                    speeds[name].append(openvino(str(given.openvino), prompts))
                    continue
                model.set_attn_implementation(attention.NAME if name == "ours" else "sdpa")
                started = time.perf_counter()
                tokens = ours(model, prompts) if name == "ours" else generate(model, tokenizer, prompts)
                if repeat >= 0:
                    speeds[name].append(tokens / (time.perf_counter() - started))
        speeds |= {"vllm": beside[case]} if beside else {}
        distinct = len(set(map(tuple, prompts)))
        print(f"{case}: {len(prompts)} samples of {distinct} prompts of {len(prompts[0])} tokens or so, {NEW} new tokens each")
        for name, found in speeds.items():
            middle = statistics.median(found)
            ratio = "" if name == "ours" else f"  ours is {statistics.median(speeds['ours']) / middle:.2f} times as fast"
            print(f"  {name:<10}{middle:8.1f} new tokens/s  (min {min(found):.1f}, max {max(found):.1f}, {given.repeats} runs){ratio}",
                  flush=True)


if __name__ == "__main__":
    main()
