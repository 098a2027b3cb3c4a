// TensorFlow's operation MaskRcnnConv3x3: see winograd.h. `maskrcnn setup` compiles this file into tfjs-node's addon.

#include "winograd_op.h"

#include <atomic>
#include <mutex>
#include <string>
#ifndef _WIN32
#include <dlfcn.h>
#endif

#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"
#include "tensorflow/c/tf_status.h"
#include "tensorflow/c/tf_tensor.h"
#include "winograd.h"
#include "worker_pool.h"

namespace maskrcnn {
namespace {

const char kName[] = "MaskRcnnConv3x3";

struct Attributes {
  TF_Bool relu = 0, transposed = 0;
};

/// A status and the tensors of one call, deleted at its end.
class Call {
 public:
  explicit Call(TF_OpKernelContext *context) : context_(context), status_(TF_NewStatus()) {}
  ~Call() {
    for (size_t i = 0; i < count_; ++i) TF_DeleteTensor(tensors_[i]);
    TF_DeleteStatus(status_);
  }
  Call(const Call &) = delete;
  void operator=(const Call &) = delete;

  /// An input; null where there was an error.
  TF_Tensor *Input(int index) {
    TF_Tensor *tensor = nullptr;
    TF_GetInput(context_, index, &tensor, status_);
    return Own(tensor);
  }

  TF_Tensor *Output(const int64_t *shape, int rank, size_t floats) {
    return Own(TF_AllocateOutput(context_, 0, TF_FLOAT, shape, rank, floats * sizeof(float), status_));
  }

  TF_Tensor *Scratch(size_t floats) {
    const int64_t shape[] = {int64_t(floats)};
    TF_AllocatorAttributes attributes = {};
    attributes.struct_size = TF_ALLOCATOR_ATTRIBUTES_STRUCT_SIZE;
    attributes.on_host = 1;
    return Own(TF_AllocateTemp(context_, TF_FLOAT, shape, 1, &attributes, status_));
  }

  bool Require(bool right, const char *what) {
    if (!right) TF_SetStatus(status_, TF_INVALID_ARGUMENT, (std::string(kName) + ": " + what).c_str());
    return right;
  }

  void Fail() { TF_OpKernelContext_Failure(context_, status_); }

 private:
  TF_Tensor *Own(TF_Tensor *tensor) {
    if (tensor) tensors_[count_++] = tensor;
    return TF_GetCode(status_) == TF_OK ? tensor : nullptr;
  }

  TF_OpKernelContext *const context_;
  TF_Status *const status_;
  TF_Tensor *tensors_[6];
  size_t count_ = 0;
};

float *Floats(const TF_Tensor *tensor) { return static_cast<float *>(TF_TensorData(tensor)); }

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
  TF_Tensor *const y = call->Output(shape, 4, floats);
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
  Call call(context);
  if (!Compute(*static_cast<Attributes *>(attributes), TF_NumInputs(context), &call)) call.Fail();
}

void DeleteKernel(void *attributes) { delete static_cast<Attributes *>(attributes); }

/// TensorFlow keeps pointers into this library, and the pool's threads run in it: it stays when a worker thread of Node, the only one that had
/// loaded it, ends.
bool StayLoaded() {
#ifdef _WIN32
  return false;
#else
  Dl_info info;
  return dladdr(reinterpret_cast<void *>(&DeleteKernel), &info) != 0 && dlopen(info.dli_fname, RTLD_NOW | RTLD_NODELETE) != nullptr;
#endif
}

}  // namespace

void RegisterOperations(TFE_Context *context) {
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  TF_Status *status = TF_NewStatus();
  TFE_Op *known = TFE_NewOp(context, kName, status);
  if (known) TFE_DeleteOp(known);
  // A second registration would end the process.
  if (!known && StayLoaded()) {
    TF_OpDefinitionBuilder *op = TF_NewOpDefinitionBuilder(kName);
    TF_OpDefinitionBuilderAddInput(op, "x: float");
    TF_OpDefinitionBuilderAddInput(op, "filter: float");
    TF_OpDefinitionBuilderAddInput(op, "args: num_args * float");
    TF_OpDefinitionBuilderAddOutput(op, "y: float");
    TF_OpDefinitionBuilderAddAttr(op, "num_args: int >= 0");
    TF_OpDefinitionBuilderAddAttr(op, "relu: bool = false");
    TF_OpDefinitionBuilderAddAttr(op, "transposed: bool = false");
    TF_OpDefinitionBuilderSetShapeInferenceFunction(op, TF_ShapeInferenceContextSetUnknownShape);
    TF_SetStatus(status, TF_OK, "");
    TF_RegisterOpDefinition(op, status);
    if (TF_GetCode(status) == TF_OK) {
      TF_KernelBuilder *kernel = TF_NewKernelBuilder(kName, "CPU", CreateKernel, ComputeKernel, DeleteKernel);
      TF_RegisterKernelBuilder(kName, kernel, status);
    }
  }
  // Without the operation, those who would use it take TensorFlow's own.
  TF_DeleteStatus(status);
}

}  // namespace maskrcnn
