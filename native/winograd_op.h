#ifndef MASKRCNN_WINOGRAD_OP_H_
#define MASKRCNN_WINOGRAD_OP_H_

#include "tensorflow/c/eager/c_api.h"

namespace maskrcnn {

/// Makes this library's operations known to TensorFlow, once in a process.
void RegisterOperations(TFE_Context *context);

}  // namespace maskrcnn

#endif  // MASKRCNN_WINOGRAD_OP_H_
