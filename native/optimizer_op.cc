// TensorFlow's operations MaskRcnnAdamW, MaskRcnnSgd and MaskRcnnAverage: a weight's step in one pass over memory. `rates` are numbers that may
// differ from step to step, which as attributes would each be compiled anew.

#include <algorithm>
#include <atomic>
#include <cmath>

#include "op_call.h"
#include "operations.h"
#include "worker_pool.h"

namespace maskrcnn {
namespace {

/// What there is of a call: inputs of one shape, then the rates; outputs of that shape.
template <int kInputs, int kOutputs, int kRates, class Update>
void Compute(const char *name, TF_OpKernelContext *context, Update update) {
  Call call(name, context);
  const float *from[kInputs + 1];
  float *to[kOutputs];
  int64_t shape[8] = {}, floats = 0;
  int rank = 0;
  for (int i = 0; i <= kInputs; ++i) {
    TF_Tensor *const tensor = call.Input(i);
    if (!tensor) return call.Fail();
    const int64_t count = TF_TensorElementCount(tensor);
    if (i == 0) {
      rank = TF_NumDims(tensor);
      if (!call.Require(rank <= 8, "at most 8 dimensions are expected")) return call.Fail();
      for (int d = 0; d < rank; ++d) shape[d] = TF_Dim(tensor, d);
      floats = count;
    }
    if (!call.Require(count == (i < kInputs ? floats : kRates), "tensors of one size, and the rates, are expected")) return call.Fail();
    from[i] = Floats(tensor);
  }
  for (int i = 0; i < kOutputs; ++i) {
    TF_Tensor *const tensor = call.Output(i, shape, rank, floats);
    if (!tensor) return call.Fail();
    to[i] = Floats(tensor);
  }
  // Few enough of each for the innermost caches; a small tensor is not worth a second thread.
  const int64_t part = 1 << 14;
  WorkerPool &pool = WorkerPool::Get();
  std::atomic<int64_t> next{0};
  pool.Run(floats > 4 * part ? pool.threads() : 1, [&](size_t) {
    for (int64_t first; (first = next.fetch_add(part)) < floats;) update(from, to, from[kInputs], first, std::min(floats, first + part));
  });
}

const char kAdamW[] = "MaskRcnnAdamW";

/// Inputs: weight, gradient, mean, square; outputs: the new weight, mean and square.
void ComputeAdamW(void *, TF_OpKernelContext *context) {
  Compute<4, 3, 8>(kAdamW, context, [](const float *const *from, float *const *to, const float *rates, int64_t first, int64_t end) {
    const float beta1 = rates[0], rest1 = rates[1], beta2 = rates[2], rest2 = rates[3];
    const float scale = rates[4], epsilon = rates[5], kept = rates[6], rate = rates[7];
    const float *__restrict w = from[0], *__restrict g = from[1], *__restrict mean = from[2], *__restrict square = from[3];
    float *__restrict newW = to[0], *__restrict newMean = to[1], *__restrict newSquare = to[2];
    for (int64_t i = first; i < end; ++i) {
      const float m = mean[i] * beta1 + g[i] * rest1, s = square[i] * beta2 + g[i] * g[i] * rest2;
      newMean[i] = m;
      newSquare[i] = s;
      newW[i] = w[i] * kept - m / (std::sqrt(s) / scale + epsilon) * rate;
    }
  });
}

const char kSgd[] = "MaskRcnnSgd";

/// Inputs: weight, gradient, velocity; outputs: the new weight and velocity.
void ComputeSgd(void *, TF_OpKernelContext *context) {
  Compute<3, 2, 5>(kSgd, context, [](const float *const *from, float *const *to, const float *rates, int64_t first, int64_t end) {
    // The direction is ahead * gradient + along * velocity: 0 and 1, or with Nesterov 1 and the momentum.
    const float momentum = rates[0], decay = rates[1], rate = rates[2], ahead = rates[3], along = rates[4];
    const float *__restrict w = from[0], *__restrict g = from[1], *__restrict velocity = from[2];
    float *__restrict newW = to[0], *__restrict newVelocity = to[1];
    for (int64_t i = first; i < end; ++i) {
      const float decayed = g[i] + w[i] * decay, v = velocity[i] * momentum + decayed;
      newVelocity[i] = v;
      newW[i] = w[i] - (decayed * ahead + v * along) * rate;
    }
  });
}

const char kAverage[] = "MaskRcnnAverage";

/// Inputs: average, weight; output: the new average.
void ComputeAverage(void *, TF_OpKernelContext *context) {
  Compute<2, 1, 2>(kAverage, context, [](const float *const *from, float *const *to, const float *rates, int64_t first, int64_t end) {
    const float decay = rates[0], rest = rates[1];
    const float *__restrict average = from[0], *__restrict w = from[1];
    float *__restrict newAverage = to[0];
    for (int64_t i = first; i < end; ++i) newAverage[i] = average[i] * decay + w[i] * rest;
  });
}

}  // namespace

void RegisterOptimizers(TFE_Context *context) {
  RegisterOperation(
      context, kAdamW,
      [](TF_OpDefinitionBuilder *op) {
        for (const char *input : {"weight: float", "gradient: float", "mean: float", "square: float", "rates: float"}) {
          TF_OpDefinitionBuilderAddInput(op, input);
        }
        for (const char *output : {"new_weight: float", "new_mean: float", "new_square: float"}) TF_OpDefinitionBuilderAddOutput(op, output);
      },
      nullptr, ComputeAdamW, nullptr);
  RegisterOperation(
      context, kSgd,
      [](TF_OpDefinitionBuilder *op) {
        for (const char *input : {"weight: float", "gradient: float", "velocity: float", "rates: float"}) TF_OpDefinitionBuilderAddInput(op, input);
        for (const char *output : {"new_weight: float", "new_velocity: float"}) TF_OpDefinitionBuilderAddOutput(op, output);
      },
      nullptr, ComputeSgd, nullptr);
  RegisterOperation(
      context, kAverage,
      [](TF_OpDefinitionBuilder *op) {
        for (const char *input : {"average: float", "weight: float", "rates: float"}) TF_OpDefinitionBuilderAddInput(op, input);
        TF_OpDefinitionBuilderAddOutput(op, "new_average: float");
      },
      nullptr, ComputeAverage, nullptr);
}

}  // namespace maskrcnn
