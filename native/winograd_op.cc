// TensorFlow's operations MaskRcnnConv3x3 and MaskRcnnConv3x3FilterGradient: see winograd.h.

#include <atomic>

#include "op_call.h"
#include "operations.h"
#include "winograd.h"
#include "worker_pool.h"

namespace maskrcnn {
namespace {

const char kConvolution[] = "MaskRcnnConv3x3";
const char kFilterGradient[] = "MaskRcnnConv3x3FilterGradient";

struct Attributes {
  TF_Bool relu = 0, transposed = 0;
};

void Convolve(Convolution c, float *scratch, const WinogradKernel &kernel, size_t threads) {
  float *u = scratch, *zeros = u + kernel.FilterFloats(c), *blocks = zeros + (c.in + 15) / 16 * 16;
  std::fill(zeros, zeros + c.in, 0.0f);
  c.zeros = zeros;
  WorkerPool &pool = WorkerPool::Get();
  std::atomic<size_t> panel{0}, tile{0};
  pool.Run(std::min(pool.threads(), c.panels), [&](size_t) {
    for (size_t p; (p = panel++) < c.panels;) kernel.transformFilter(c, p, u);
  });
  pool.Run(threads, [&](size_t thread) {
    float *own = blocks + thread * kernel.ScratchFloats(c);
    for (size_t first; (first = tile.fetch_add(c.tilesInBlock)) < c.tiles;) {
      kernel.convolveTiles(c, u, first, std::min(c.tilesInBlock, c.tiles - first), own);
    }
  });
}

/// False where the call has failed.
bool Compute(const Attributes &attributes, int inputs, Call *call) {
  TF_Tensor *const x = call->Input(0), *const filter = x ? call->Input(1) : nullptr;
  if (!filter) return false;
  if (!call->Require(TF_NumDims(x) == 4 && TF_NumDims(filter) == 4 && TF_Dim(filter, 0) == 3 && TF_Dim(filter, 1) == 3,
                     "x [N, H, W, C] and a filter [3, 3, C, K] are expected")) {
    return false;
  }
  Convolution c = {};
  c.relu = attributes.relu;
  c.transposed = attributes.transposed;
  c.x = Floats(x);
  c.filter = Floats(filter);
  c.batch = TF_Dim(x, 0);
  c.height = TF_Dim(x, 1);
  c.width = TF_Dim(x, 2);
  c.in = TF_Dim(x, 3);
  c.out = TF_Dim(filter, c.transposed ? 2 : 3);
  if (!call->Require(TF_Dim(filter, c.transposed ? 3 : 2) == int64_t(c.in), "x and the filter differ in channels")) return false;
  if (inputs > 2) {
    TF_Tensor *const bias = call->Input(2);
    if (!bias || !call->Require(TF_TensorElementCount(bias) == int64_t(c.out), "a bias for every output channel is expected")) {
      return false;
    }
    c.bias = Floats(bias);
  }
  const int64_t shape[] = {TF_Dim(x, 0), TF_Dim(x, 1), TF_Dim(x, 2), int64_t(c.out)};
  if (inputs > 3) {
    TF_Tensor *const addend = call->Input(3);
    if (!addend) return false;
    bool same = TF_NumDims(addend) == 4;
    for (int i = 0; same && i < 4; ++i) same = TF_Dim(addend, i) == shape[i];
    if (!call->Require(same, "an addend of the output's shape is expected")) return false;
    c.addend = Floats(addend);
  }
  const size_t floats = c.batch * c.height * c.width * c.out;
  TF_Tensor *const y = call->Output(0, shape, 4, floats);
  if (!y) return false;
  if (floats == 0) return true;
  if (!call->Require(c.in > 0, "no input channels")) return false;
  c.y = Floats(y);

  const WinogradKernel &kernel = BestKernel();
  const size_t threads = Plan(kernel, WorkerPool::Get().threads(), &c);
  TF_Tensor *const scratch = call->Scratch(kernel.FilterFloats(c) + (c.in + 15) / 16 * 16 + threads * kernel.ScratchFloats(c));
  if (!scratch) return false;
  Convolve(c, Floats(scratch), kernel, threads);
  return true;
}

void *CreateKernel(TF_OpKernelConstruction *construction) {
  Attributes *attributes = new Attributes;
  TF_Status *status = TF_NewStatus();
  TF_OpKernelConstruction_GetAttrBool(construction, "relu", &attributes->relu, status);
  if (TF_GetCode(status) == TF_OK) TF_OpKernelConstruction_GetAttrBool(construction, "transposed", &attributes->transposed, status);
  if (TF_GetCode(status) != TF_OK) TF_OpKernelConstruction_Failure(construction, status);
  TF_DeleteStatus(status);
  return attributes;
}

void ComputeKernel(void *attributes, TF_OpKernelContext *context) {
  Call call(kConvolution, context);
  if (!Compute(*static_cast<Attributes *>(attributes), TF_NumInputs(context), &call)) call.Fail();
}

void DeleteKernel(void *attributes) { delete static_cast<Attributes *>(attributes); }

/// Floats before the sixteen planes: zeros for what is outside the map.
size_t Zeros(const FilterGradient &g) { return (std::max(g.in, g.out) + 15) / 16 * 16; }

void Sum(FilterGradient g, float *scratch, const WinogradKernel &kernel) {
  float *zeros = scratch, *v = zeros + Zeros(g), *m = v + 16 * g.VPlane(), *u = m + 16 * g.MPlane();
  std::fill(zeros, v, 0.0f);
  std::fill(u, u + 16 * g.UPlane(), 0.0f);
  g.zeros = zeros;
  WorkerPool &pool = WorkerPool::Get();
  const size_t parts = 16 * ((g.in + kInsOfPart - 1) / kInsOfPart);
  for (size_t first = 0; first < g.tiles; first += g.tilesInChunk) {
    const size_t tiles = std::min(g.tilesInChunk, g.tiles - first);
    std::atomic<size_t> tile{0}, part{0};
    pool.Run(pool.threads(), [&](size_t) {
      for (size_t t; (t = tile.fetch_add(8)) < tiles;) {
        for (size_t k = t; k < std::min(tiles, t + 8); ++k) kernel.transformTile(g, first + k, k, v, m);
      }
    });
    pool.Run(pool.threads(), [&](size_t) {
      for (size_t p; (p = part++) < parts;) {
        const size_t in = p / 16 * kInsOfPart;
        kernel.addTiles(g, p % 16, in, std::min(kInsOfPart, g.in - in), tiles, v, m, u);
      }
    });
  }
  std::atomic<size_t> in{0};
  pool.Run(pool.threads(), [&](size_t) {
    for (size_t i; (i = in++) < g.in;) kernel.finishFilter(g, i, u);
  });
}

/// False where the call has failed.
bool ComputeFilterGradient(Call *call) {
  TF_Tensor *const x = call->Input(0), *const dy = x ? call->Input(1) : nullptr;
  if (!dy) return false;
  bool same = TF_NumDims(x) == 4 && TF_NumDims(dy) == 4;
  for (int i = 0; same && i < 3; ++i) same = TF_Dim(x, i) == TF_Dim(dy, i);
  if (!call->Require(same, "x [N, H, W, C] and a gradient [N, H, W, K] are expected")) return false;
  FilterGradient g = {};
  g.x = Floats(x);
  g.dy = Floats(dy);
  g.batch = TF_Dim(x, 0);
  g.height = TF_Dim(x, 1);
  g.width = TF_Dim(x, 2);
  g.in = TF_Dim(x, 3);
  g.out = TF_Dim(dy, 3);
  const int64_t shape[] = {3, 3, int64_t(g.in), int64_t(g.out)};
  TF_Tensor *const dw = call->Output(0, shape, 4, 9 * g.in * g.out);
  if (!dw) return false;
  if (g.in == 0 || g.out == 0) return true;
  g.dw = Floats(dw);
  const WinogradKernel &kernel = BestKernel();
  Plan(kernel, &g);
  TF_Tensor *const scratch = call->Scratch(Zeros(g) + 16 * (g.VPlane() + g.MPlane() + g.UPlane()));
  if (!scratch) return false;
  Sum(g, Floats(scratch), kernel);
  return true;
}

void ComputeFilterGradientKernel(void *, TF_OpKernelContext *context) {
  Call call(kFilterGradient, context);
  if (!ComputeFilterGradient(&call)) call.Fail();
}

}  // namespace

void RegisterWinograd(TFE_Context *context) {
  RegisterOperation(
      context, kConvolution,
      [](TF_OpDefinitionBuilder *op) {
        TF_OpDefinitionBuilderAddInput(op, "x: float");
        TF_OpDefinitionBuilderAddInput(op, "filter: float");
        TF_OpDefinitionBuilderAddInput(op, "args: num_args * float");
        TF_OpDefinitionBuilderAddOutput(op, "y: float");
        TF_OpDefinitionBuilderAddAttr(op, "num_args: int >= 0");
        TF_OpDefinitionBuilderAddAttr(op, "relu: bool = false");
        TF_OpDefinitionBuilderAddAttr(op, "transposed: bool = false");
      },
      CreateKernel, ComputeKernel, DeleteKernel);
  RegisterOperation(
      context, kFilterGradient,
      [](TF_OpDefinitionBuilder *op) {
        TF_OpDefinitionBuilderAddInput(op, "x: float");
        TF_OpDefinitionBuilderAddInput(op, "dy: float");
        TF_OpDefinitionBuilderAddOutput(op, "dw: float");
      },
      nullptr, ComputeFilterGradientKernel, nullptr);
}

}  // namespace maskrcnn
