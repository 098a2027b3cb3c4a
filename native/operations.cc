// `maskrcnn setup` compiles these files into tfjs-node's addon.

#include "operations.h"

#include <mutex>
#ifndef _WIN32
#include <dlfcn.h>
#endif

#include "tensorflow/c/tf_status.h"

namespace maskrcnn {
namespace {

/// TensorFlow keeps pointers into this library, and the pool's threads run in it: it stays when a worker thread of Node, the only one that had
/// loaded it, ends.
bool StayLoaded() {
#ifdef _WIN32
  return false;
#else
  Dl_info info;
  return dladdr(reinterpret_cast<void *>(&RegisterOperations), &info) != 0 && dlopen(info.dli_fname, RTLD_NOW | RTLD_NODELETE) != nullptr;
#endif
}

}  // namespace

void RegisterOperation(TFE_Context *context, const char *name, void (*define)(TF_OpDefinitionBuilder *),
                       void *(*create)(TF_OpKernelConstruction *), void (*compute)(void *, TF_OpKernelContext *), void (*destroy)(void *)) {
  TF_Status *status = TF_NewStatus();
  TFE_Op *known = TFE_NewOp(context, name, status);
  if (known) TFE_DeleteOp(known);
  // A second registration would end the process.
  if (!known) {
    TF_OpDefinitionBuilder *op = TF_NewOpDefinitionBuilder(name);
    define(op);
    TF_OpDefinitionBuilderSetShapeInferenceFunction(op, TF_ShapeInferenceContextSetUnknownShape);
    TF_SetStatus(status, TF_OK, "");
    TF_RegisterOpDefinition(op, status);
    if (TF_GetCode(status) == TF_OK) {
      TF_RegisterKernelBuilder(name, TF_NewKernelBuilder(name, "CPU", create, compute, destroy), status);
    }
  }
  TF_DeleteStatus(status);
}

void RegisterOperations(TFE_Context *context) {
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  if (!StayLoaded()) return;
  RegisterWinograd(context);
  RegisterOptimizers(context);
}

}  // namespace maskrcnn
