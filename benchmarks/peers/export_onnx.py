"""Exports torchvision's maskrcnn_resnet50_fpn (random weights, score threshold 0) at 800 x 800 to ONNX for the onnxruntime peer: export_onnx.py OUT.onnx"""
import sys

import torch
import torchvision

torch.manual_seed(0)
model = torchvision.models.detection.maskrcnn_resnet50_fpn(
    weights=None, weights_backbone=None, num_classes=81, box_score_thresh=0.0, box_detections_per_img=100
).eval()
image = torch.rand(3, 800, 800)
torch.onnx.export(
    model, ([image],), sys.argv[1], opset_version=17, do_constant_folding=True, input_names=["image"],
    output_names=["boxes", "labels", "scores", "masks"], dynamo=False,
)
