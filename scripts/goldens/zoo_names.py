"""Writes tests/fixtures/model_zoo/tensor_names.json: what the tensors of every model that Detectron2 publishes are called, and their shapes, as a
digest. Built by Detectron2 from its own configs, without weights; its own address table says which are published.

    python scripts/goldens/zoo_names.py CONFIGS

CONFIGS is the folder `configs` of a checkout of Detectron2. Needs torch, torchvision and detectron2.
"""
import hashlib
import json
import os
import sys

import torch
from detectron2.config import LazyConfig, get_cfg, instantiate
from detectron2.model_zoo.model_zoo import _ModelZooUrls
from detectron2.modeling import build_model

OUT = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "fixtures", "model_zoo", "tensor_names.json")
# Configs without published weights that are in the table all the same.
ALSO = ["Misc/semantic_R_50_FPN_1x"]


def build(name):
    path = os.path.join(sys.argv[1], name)
    if os.path.exists(path + ".yaml"):
        cfg = get_cfg()
        cfg.merge_from_file(path + ".yaml")
        cfg.MODEL.DEVICE = "meta"
        return build_model(cfg)
    return instantiate(LazyConfig.load(path + ".py").model)


def digest(model):
    tensors = {k: list(v.shape) for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    # Constants of the model, not of its weights.
    tensors = {k: s for k, s in tensors.items() if k not in ("pixel_mean", "pixel_std") and "cell_anchors" not in k}
    lines = "".join(f"{k} {','.join(map(str, tensors[k]))}\n" for k in sorted(tensors))
    return {"tensors": len(tensors), "sha256": hashlib.sha256(lines.encode()).hexdigest()}


if __name__ == "__main__":
    names = [n for n in _ModelZooUrls.CONFIG_PATH_TO_URL_SUFFIX if not n.startswith("ImageNetPretrained")] + ALSO
    out = {}
    for name in names:
        # Shapes without values.
        with torch.device("meta"):
            out[name] = digest(build(name))
        print(name, out[name]["tensors"], flush=True)
    os.makedirs(os.path.dirname(OUT), exist_ok=True)
    with open(OUT, "w") as f:
        json.dump(out, f, indent=2)
        f.write("\n")
