"""The torchvision side of the benchmarks: one process, requests and answers as JSON lines over stdin and stdout.

  {"do": "describe"}                                        -> {"peer": "torchvision 0.23.0, torch 2.8.0", "threads": 2}
  {"do": "prepare", "bench": NAME, "inputs": {NAME: {"file": PATH, "shape": [...], "dtype": "float32"}}, "options": {...}}
                                                            -> {"ready": true, ...}
  {"do": "run"}                                             -> {"ms": 12.3, ...}   only the work itself is timed
An error answers {"error": TEXT}. On a GPU where MASKRCNN_PEER_DEVICE says so (cuda): a run then ends when the device has done its work.
"""
import json
import os
import resource
import sys
import time

import numpy as np
import torch
import torchvision

THREADS = 2
DEVICE = os.environ.get("MASKRCNN_PEER_DEVICE", "cpu")


def load(entry):
    return torch.from_numpy(np.fromfile(entry["file"], dtype=entry["dtype"]).reshape(entry["shape"])).to(DEVICE)


def finish():
    if DEVICE.startswith("cuda"):
        torch.cuda.synchronize()


def describe():
    gpu = f", {torch.cuda.get_device_name(DEVICE)}" if DEVICE.startswith("cuda") else ""
    return f"torchvision {torchvision.__version__}, torch {torch.__version__}{gpu}"


def roi_align_forward(inputs, options):
    features, rois = load(inputs["features"]).permute(0, 3, 1, 2).contiguous(), load(inputs["rois"])

    def run():
        with torch.no_grad():
            out = torchvision.ops.roi_align(features, rois, 7, options["scale"], options["sampling_ratio"], True)
        return {"shape": list(out.shape)}

    return run


def roi_align_backward(inputs, options):
    features, rois = load(inputs["features"]).permute(0, 3, 1, 2).contiguous().requires_grad_(), load(inputs["rois"])
    out = torchvision.ops.roi_align(features, rois, 7, options["scale"], options["sampling_ratio"], True)
    gradient = torch.ones_like(out)

    def run():
        (result,) = torch.autograd.grad(out, features, gradient, retain_graph=True)
        return {"shape": list(result.shape)}

    return run


def nms_4000(inputs, options):
    boxes, scores = load(inputs["boxes"]), load(inputs["scores"])
    return lambda: {"kept": len(torchvision.ops.nms(boxes, scores, options["iou_threshold"]))}


def encode(masks):
    from pycocotools import mask as coco

    return coco.encode(np.asfortranarray(masks.cpu().numpy().transpose(1, 2, 0)))


def mask_paste_rle_100(inputs, options):
    from torchvision.models.detection.roi_heads import paste_masks_in_image

    masks, boxes = load(inputs["masks"])[:, None], load(inputs["boxes"])

    def run():
        pasted = paste_masks_in_image(masks, boxes, (options["height"], options["width"]))[:, 0]
        return {"masks": len(encode((pasted > 0.5).to(torch.uint8)))}

    return run


def rcnn_r50_fpn_800(inputs, options):
    torch.manual_seed(0)
    model = torchvision.models.detection.maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=81, box_score_thresh=0.0, box_detections_per_img=100
    ).to(DEVICE).eval()
    image = load(inputs["image"])
    counted = {}
    model.roi_heads.register_forward_pre_hook(lambda m, a: counted.update(proposals=len(a[1][0])))

    def run():
        with torch.no_grad():
            out = model([image.permute(2, 0, 1).float() / 255])[0]
            rles = encode((out["masks"][:, 0] > 0.5).to(torch.uint8))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {"detections": len(rles), "proposals": counted["proposals"], "peak_mb": round(peak)}

    return run


def train_step_r50_fpn_800(inputs, options):
    from torchvision.models.detection import MaskRCNN
    from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
    from torchvision.ops.misc import FrozenBatchNorm2d

    torch.manual_seed(0)
    # What maskrcnn_resnet50_fpn builds for pretrained weights: norms, stem and the first stage frozen (trainable_layers=3).
    resnet = torchvision.models.resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
    for name, module in resnet.named_modules():
        if name.endswith("bn3"):
            module.weight.fill_(0.2)
    model = MaskRCNN(
        _resnet_fpn_extractor(resnet, 3),
        num_classes=81,
        min_size=800,
        rpn_post_nms_top_n_train=1000,
    ).to(DEVICE).train()
    image = load(inputs["image"]).permute(2, 0, 1).float() / 255
    boxes, masks = load(inputs["boxes"]), load(inputs["masks"])
    target = {"boxes": boxes, "masks": masks, "labels": torch.arange(1, len(boxes) + 1, device=DEVICE)}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=2e-8, momentum=0.9, weight_decay=1e-4)
    counted = {}
    model.roi_heads.mask_head.register_forward_pre_hook(lambda m, a: counted.update(foreground=len(a[0])))

    def run():
        loss = sum(model([image], [target]).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {"foreground": counted["foreground"], "peak_mb": round(peak)}

    return run


BENCHES = {
    f.__name__: f
    for f in (roi_align_forward, roi_align_backward, nms_4000, mask_paste_rle_100, rcnn_r50_fpn_800, train_step_r50_fpn_800)
}


def main():
    torch.set_num_threads(THREADS)
    run = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "describe":
                answer = {"peer": describe(), "threads": torch.get_num_threads()}
            elif request["do"] == "prepare":
                run = BENCHES[request["bench"]](request["inputs"], request.get("options", {}))
                answer = {"ready": True}
            else:
                start = time.perf_counter()
                info = run()
                finish()
                answer = {"ms": (time.perf_counter() - start) * 1000, **info}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
