#ifndef MASKRCNN_OPERATIONS_H_
#define MASKRCNN_OPERATIONS_H_

#include "tensorflow/c/eager/c_api.h"
#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"

namespace maskrcnn {

/// Makes this library's operations known to TensorFlow, once in a process.
void RegisterOperations(TFE_Context *context);

/// One of them, on processors; `define` gives its inputs, outputs and attributes. Where TensorFlow refuses, those who would use the operation find it
/// missing and take TensorFlow's own.
void RegisterOperation(TFE_Context *context, const char *name, void (*define)(TF_OpDefinitionBuilder *),
                       void *(*create)(TF_OpKernelConstruction *), void (*compute)(void *, TF_OpKernelContext *), void (*destroy)(void *));

void RegisterWinograd(TFE_Context *context);
void RegisterOptimizers(TFE_Context *context);

}  // namespace maskrcnn

#endif  // MASKRCNN_OPERATIONS_H_
