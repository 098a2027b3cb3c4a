// One call of an operation of ours, by TensorFlow's C API.

#ifndef MASKRCNN_OP_CALL_H_
#define MASKRCNN_OP_CALL_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "tensorflow/c/kernels.h"
#include "tensorflow/c/tf_status.h"
#include "tensorflow/c/tf_tensor.h"

namespace maskrcnn {

/// A status and the tensors of one call, deleted at its end.
class Call {
 public:
  Call(const char *name, TF_OpKernelContext *context) : name_(name), context_(context), status_(TF_NewStatus()) {}
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

  TF_Tensor *Output(int index, const int64_t *shape, int rank, size_t floats) {
    return Own(TF_AllocateOutput(context_, index, TF_FLOAT, shape, rank, floats * sizeof(float), status_));
  }

  TF_Tensor *Scratch(size_t floats) {
    const int64_t shape[] = {int64_t(floats)};
    TF_AllocatorAttributes attributes = {};
    attributes.struct_size = TF_ALLOCATOR_ATTRIBUTES_STRUCT_SIZE;
    attributes.on_host = 1;
    return Own(TF_AllocateTemp(context_, TF_FLOAT, shape, 1, &attributes, status_));
  }

  bool Require(bool right, const char *what) {
    if (!right) TF_SetStatus(status_, TF_INVALID_ARGUMENT, (std::string(name_) + ": " + what).c_str());
    return right;
  }

  void Fail() { TF_OpKernelContext_Failure(context_, status_); }

 private:
  TF_Tensor *Own(TF_Tensor *tensor) {
    if (tensor) tensors_[count_++] = tensor;
    return TF_GetCode(status_) == TF_OK ? tensor : nullptr;
  }

  const char *const name_;
  TF_OpKernelContext *const context_;
  TF_Status *const status_;
  TF_Tensor *tensors_[8];
  size_t count_ = 0;
};

inline float *Floats(const TF_Tensor *tensor) { return static_cast<float *>(TF_TensorData(tensor)); }

}  // namespace maskrcnn

#endif  // MASKRCNN_OP_CALL_H_
