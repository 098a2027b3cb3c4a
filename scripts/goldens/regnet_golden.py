"""Writes tests/fixtures/regnet/{x,y}.safetensors: what Detectron2's RegNet gives with generated weights, narrow.

    python scripts/goldens/regnet_golden.py

Needs torch and detectron2. Of each network: `weight.NAME` as in its state dict, the input `x` [2, 3, 40, 48], the stages `eval.sN` with the running
statistics, and of one step with those of the batch the stages `train.sN`, the norm of the gradient of sum(sN * cos(position)) of each weight as
`norm.NAME`, and the running statistics after it as `after.NAME`.
"""
import json
import os
import struct

import numpy as np
import torch
from detectron2.modeling.backbone import RegNet
from detectron2.modeling.backbone.regnet import ResBottleneckBlock, SimpleStem

FOLDER = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "fixtures", "regnet")
STAGES = ["s1", "s2", "s3", "s4"]


def write(path, tensors):
    header, blobs, end = {}, [], 0
    for name, tensor in tensors.items():
        data = np.ascontiguousarray(tensor.detach().numpy(), dtype=np.float32).tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [end, end + len(data)]}
        blobs.append(data)
        end += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def loss(outputs):
    return sum((v * torch.cos(torch.arange(v.numel(), dtype=torch.float32)).reshape(v.shape)).sum() for v in outputs.values())


def main():
    os.makedirs(FOLDER, exist_ok=True)
    for kind, se_ratio in (("x", 0.0), ("y", 0.25)):
        torch.manual_seed(3)
        model = RegNet(stem_class=SimpleStem, stem_width=8, block_class=ResBottleneckBlock, depth=7, w_a=10.5, w_0=16, w_m=1.7,
                       group_width=8, se_ratio=se_ratio, norm="BN", out_features=STAGES)
        for name, value in model.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif name.endswith(("bias", "running_mean")):
                value.normal_(0, 0.2)
            elif name.endswith("weight") and value.dim() == 1:
                value.uniform_(0.5, 1.2)
        x = torch.rand(2, 3, 40, 48)
        out = {f"weight.{k}": v.clone() for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
        out["x"] = x
        with torch.no_grad():
            out |= {f"eval.{k}": v for k, v in model.eval()(x).items()}
        outputs = model.train()(x)
        out |= {f"train.{k}": v for k, v in outputs.items()}
        loss(outputs).backward()
        out |= {f"norm.{k}": p.grad.norm() for k, p in model.named_parameters()}
        out |= {f"after.{k}": v for k, v in model.state_dict().items() if ".running_" in k or k.startswith("stem.bn.running_")}
        write(os.path.join(FOLDER, f"{kind}.safetensors"), out)
        print(kind, {k: list(v.shape) for k, v in outputs.items()}, sum(p.numel() for p in model.parameters()))


main()
