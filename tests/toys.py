"""What tests of the engine share: a toy model, and prompts for it."""

import torch

from teachwhy import weights


def sharp(folder):
    """A toy that looks at single places of its text, in fp32 on every machine: of an even mean over all places one that is lost would be
    lost in rounding."""
    loaded, _ = weights.load(folder, training=True)
    torch.manual_seed(4)
    with torch.no_grad():
        for parameter in loaded.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return loaded.eval()


def prompts(*lengths):
    return [tuple(torch.randint(3, 200, (n,), generator=torch.Generator().manual_seed(n)).tolist()) for n in lengths]
