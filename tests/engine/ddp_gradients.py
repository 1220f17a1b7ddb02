"""Run by torchrun: two processes have the gradients of one with twice the batch, and share batch-norm statistics."""

import os
import sys
from types import SimpleNamespace

import torch
from mmengine.hooks import EMAHook
from mmengine.registry import MODEL_WRAPPERS, MODELS

from uninas.engine import registered
from uninas.engine.hooks import ShareBuffersHook
from uninas.genotype import Genotype
from uninas.mm_compat.distributed import init_distributed

genotype = Genotype.load(sys.argv[1])
backbone = {"type": "UniNASBackbone", "genotype": genotype.to_dict(), "out_indices": (3,)}
model = MODELS.build({"type": "UniNASClassifier", "backbone": backbone, "num_classes": 6})

generator = torch.Generator().manual_seed(0)
inputs, labels = torch.randn(8, 3, 32, 32, generator=generator), torch.arange(8) % 6
model(inputs, labels, mode="loss")["loss"].backward()
expected = [p.grad.clone() for p in model.parameters()]
model.zero_grad()

cfg: dict = {}
init_distributed(cfg, "pytorch")
wrapped = MODEL_WRAPPERS.build({**cfg["model_wrapper_cfg"], "module": model})
rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
wrapped(inputs[rank::count], labels[rank::count], mode="loss")["loss"].backward()
difference = max((p.grad - e).abs().max().item() for p, e in zip(model.parameters(), expected))
if rank == 0 and registered.MODULES:
    print(f"largest difference {difference:.3g} over {count} processes")

# Batch norms of each process's own batches, in the network and in the average of its weights.
network, average = torch.nn.BatchNorm2d(3), torch.nn.BatchNorm2d(3)
network.running_mean.fill_(rank)
average.running_var.fill_(10.0 * rank)
averaging = EMAHook()
averaging.ema_model = average
ShareBuffersHook().after_train_epoch(SimpleNamespace(model=network, hooks=[averaging]))
print(f"shared by {rank}: {network.running_mean[0]:.2f} {average.running_var[0]:.2f}")
torch.distributed.barrier()  # a process that ends while the other still talks to it aborts
torch.distributed.destroy_process_group()
