"""Makes tests/fixtures/torchvision: what torchvision finds with generated weights, for the tests to compare with.

    python scripts/goldens/torchvision_golden.py tests/fixtures/torchvision [KIND ...]

KIND is mask, keypoint, box or mask_v2; all unless named, and the others are left as they are. Needs torch 2.8, torchvision 0.23, numpy and pillow. The models are torchvision's own classes with narrow layers, so that a state dict of a
third of a megabyte as torch.save writes it has every name, layout and rule of the published ones. The weights come from a seed; the batch norms
are set so that activations stay near unit variance, and the seed is the first with which a double-precision run finds the same in the same order.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import nn
from torchvision.models.detection import FasterRCNN, KeypointRCNN, MaskRCNN
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor, RPNHead, TwoMLPHead
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.resnet import Bottleneck, ResNet
from torchvision.ops.misc import FrozenBatchNorm2d

MIN_SIZE, MAX_SIZE = 150, 260
CHANNELS, HIDDEN, CLASSES, DETECTIONS = 16, 24, 4, 20
FILES = {"mask": "mask_rcnn.pth", "keypoint": "keypoint_rcnn.pth", "box": "faster_rcnn.pth", "mask_v2": "mask_rcnn_v2.pth"}


class NarrowResNet50(ResNet):
    """torchvision's ResNet with 4 channels where it has 64."""

    def __init__(self, norm):
        nn.Module.__init__(self)
        self._norm_layer, self.inplanes, self.dilation, self.groups, self.base_width = norm, 8, 1, 1, 64
        self.conv1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False)
        self.bn1 = norm(8)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for i, blocks in enumerate([3, 4, 6, 3]):
            setattr(self, f"layer{i + 1}", self._make_layer(Bottleneck, 4 * 2**i, blocks, stride=1 if i == 0 else 2))


def build(kind):
    v2 = kind.endswith("_v2")
    # The published COCO weights run with eps 0 (torchvision's overwrite_eps); those of the v2 models have batch norms that were trained.
    body = NarrowResNet50(nn.BatchNorm2d if v2 else lambda n: FrozenBatchNorm2d(n, eps=0.0))
    norm = nn.BatchNorm2d if v2 else None
    layers = {f"layer{i}": str(i - 1) for i in range(1, 5)}
    backbone = BackboneWithFPN(body, layers, [16, 32, 64, 128], CHANNELS, norm_layer=norm)
    common = dict(
        min_size=MIN_SIZE,
        max_size=MAX_SIZE,
        box_detections_per_img=DETECTIONS,
        box_head=TwoMLPHead(CHANNELS * 49, HIDDEN),
        box_predictor=FastRCNNPredictor(HIDDEN, 2 if kind == "keypoint" else CLASSES),
    )
    if v2:
        common["rpn_head"] = RPNHead(CHANNELS, 3, conv_depth=2)
        common["box_head"] = FastRCNNConvFCHead((CHANNELS, 7, 7), [CHANNELS] * 4, [HIDDEN], norm_layer=norm)
    if kind == "box":
        return FasterRCNN(backbone, **common)
    if kind in ("mask", "mask_v2"):
        head, predictor = MaskRCNNHeads(CHANNELS, (CHANNELS,) * 4, 1, norm_layer=norm), MaskRCNNPredictor(CHANNELS, CHANNELS, CLASSES)
        return MaskRCNN(backbone, mask_head=head, mask_predictor=predictor, **common)
    head = KeypointRCNNHeads(CHANNELS, (CHANNELS,) * 8)
    return KeypointRCNN(backbone, keypoint_head=head, keypoint_predictor=KeypointRCNNPredictor(CHANNELS, 17), **common)


def generate(model, image, seed):
    """Random weights; each layer is scaled by what it gives on the picture, so that nothing dies or saturates."""
    torch.manual_seed(seed)
    wanted = {"rpn.head.cls_logits": 1.5, "rpn.head.bbox_pred": 0.3, "box_predictor.cls_score": 1.2, "box_predictor.bbox_pred": 0.8,
              "mask_fcn_logits": 2.0, "kps_score_lowres": 2.0}
    seen = set()

    def calibrate(name, module):
        def hook(_module, _inputs, output):
            if name in seen:
                return None
            seen.add(name)
            std = next((v for k, v in wanted.items() if name.endswith(k)), 1.0)
            axes = [axis for axis in range(output.dim()) if axis != 1]
            mean = output.mean(axes, keepdim=True)
            factor = std / max((output - mean).std().item(), 1e-6)
            module.weight.data *= factor
            if module.bias is not None:
                # Centred, so that every class and every anchor has its share.
                module.bias.data = (module.bias.data - mean.flatten()) * factor
            return (output - mean) * factor
        return hook

    def statistics(module, inputs):
        x = inputs[0]
        if not getattr(module, "set", False):
            module.set = True
            module.running_mean.copy_(x.mean((0, 2, 3)))
            module.running_var.copy_(x.var((0, 2, 3)) + 1e-6)

    handles = []
    for name, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, std=0.1)
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.02)
            if ".body." not in name:
                handles.append(module.register_forward_hook(calibrate(name, module)))
        if isinstance(module, (FrozenBatchNorm2d, nn.BatchNorm2d)):
            # The last norm of a block is small: rounding errors do not grow from block to block.
            nn.init.uniform_(module.weight, *((0.1, 0.3) if name.endswith("bn3") else (0.4, 1.0)))
            nn.init.normal_(module.bias, std=0.2)
            handles.append(module.register_forward_pre_hook(statistics))
    with torch.no_grad():
        model([image])
    for handle in handles:
        handle.remove()


def picture(path):
    rng = np.random.default_rng(5)
    base = np.asarray(Image.fromarray(rng.integers(0, 256, (9, 13, 3), dtype=np.uint8)).resize((141, 97), Image.Resampling.BICUBIC)).copy()
    base[20:60, 30:75] = (220, 40, 50)
    base[50:90, 85:120] = (30, 200, 90)
    Image.fromarray(base).save(path, optimize=True)
    return torch.from_numpy(base).permute(2, 0, 1).float() / 255


def rle(mask):
    """COCO's uncompressed run lengths: column-major, zeros first."""
    flat = mask.T.reshape(-1)
    changes = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    return counts if flat[0] == 0 else [0, *counts]


def stable(single, double):
    if len(single["labels"]) < 5 or len(single["labels"]) != len(double["labels"]):
        return False
    if not torch.equal(single["labels"], double["labels"]):
        return False
    gaps = (single["scores"][:-1] - single["scores"][1:]).min().item()
    return gaps > 1e-5 and (single["boxes"] - double["boxes"]).abs().max() < 1e-3 and single["scores"].min() > 0.0505


def main(folder):
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    image = picture(folder / "0.png")
    path = folder / "golden.json"
    golden = json.loads(path.read_text()) if path.exists() else {}
    golden |= {"torch": torch.__version__, "torchvision": torchvision.__version__, "min_size": MIN_SIZE, "max_size": MAX_SIZE, "detections": DETECTIONS}
    for kind in sys.argv[2:] or ["mask", "keypoint", "box", "mask_v2"]:
        for seed in range(200):
            model = build(kind).eval()
            generate(model, image, seed)
            with torch.no_grad():
                found = model([image])[0]
                if len(set(found["labels"].tolist())) < (1 if kind == "keypoint" else 3):
                    continue
                state = {k: v.clone() for k, v in model.state_dict().items()}
                if stable(found, model.double()([image.double()])[0]):
                    break
        else:
            raise SystemExit(f"{kind}: no stable seed")
        torch.save(state, folder / FILES[kind])
        entry = {"seed": seed, **{k: found[k].tolist() for k in ("boxes", "scores", "labels")}}
        if kind.startswith("mask"):
            masks = found["masks"][:, 0].numpy()
            entry["masks"] = [rle((m >= 0.5).astype(np.uint8)) for m in masks]
            entry["mask_pixels_near_half"] = [int((np.abs(m - 0.5) < 1e-4).sum()) for m in masks]
        if kind == "keypoint":
            entry["keypoints"] = found["keypoints"].tolist()
            entry["keypoints_scores"] = found["keypoints_scores"].tolist()
        golden[kind] = entry
        print(kind, "seed", seed, "found", len(entry["scores"]), "labels", entry["labels"][:12], "scores", entry["scores"][:4])
    path.write_text(json.dumps(golden) + "\n")
    from torchvision.models import detection as zoo
    names = ["fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_v2", "maskrcnn_resnet50_fpn_v2"]
    shapes = {}
    for name in names:
        with torch.device("meta"):
            # The names with frozen norms, as the published files have them; v2 has plain ones.
            plain = torchvision.models.resnet50(norm_layer=FrozenBatchNorm2d if not name.endswith("v2") else nn.BatchNorm2d)
            model = getattr(zoo, name)(weights=None, weights_backbone=None)
        frozen = {k for k in plain.state_dict()}
        shapes[name] = {k: list(v.shape) for k, v in model.state_dict().items() if "backbone.body" not in k or k[len("backbone.body."):] in frozen}
    (folder / "shapes.json").write_text(json.dumps(shapes, separators=(",", ":")) + "\n")


main(Path(sys.argv[1]))
