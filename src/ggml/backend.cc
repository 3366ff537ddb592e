#include "backend.h"

#include <ggml-backend-impl.h>
#include <ggml-cpu.h>
#include <ggml-impl.h>  // GGML_LOG_*

#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "compute.h"
#include "op.h"
#include "procs.h"
#include "state.h"

namespace qwen_infer {
namespace {

// Identifies our backends among others: any 16 bytes that no one else uses.
ggml_guid_t Guid() {
  static ggml_guid guid = {0x74, 0x6f, 0x70, 0x6b, 0x2d, 0x61, 0x74, 0x74,
                           0x8e, 0x3c, 0x51, 0xb7, 0x0d, 0xf2, 0x96, 0x1a};
  return &guid;
}

// What one ggml_backend (a stream of work of one llama_context) holds.
struct BackendContext {
  std::shared_ptr<State> state;
  int n_threads = 0;  // below 1: all of the machine's
  ggml_abort_callback abort_callback = nullptr;
  void* abort_callback_data = nullptr;
  topk::ScratchMemory scratch;  // kept from one operation to the next
};

BackendContext& ContextOf(ggml_backend_t backend) { return *static_cast<BackendContext*>(backend->context); }

// ---- backend ----

const char* BackendGetName(ggml_backend_t /*backend*/) { return kBackendName; }

void BackendFree(ggml_backend_t backend) {
  // So that users of programs which know nothing of us can see in the log that and what the plugin computed.
  try {
    const std::vector<LayerStatistics> layers = ContextOf(backend).state->statistics().Get();
    if (!layers.empty()) GGML_LOG_INFO("%s: so far %s\n", kBackendName, StatisticsSummary(layers).c_str());
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): a log line is not worth failing for
  }
  delete static_cast<BackendContext*>(backend->context);
  delete backend;
}

bool IsNoOp(ggml_op op) {
  switch (op) {
    case GGML_OP_NONE:
    case GGML_OP_RESHAPE:
    case GGML_OP_VIEW:
    case GGML_OP_PERMUTE:
    case GGML_OP_TRANSPOSE: return true;
    default: return false;
  }
}

ggml_status StatusFor(const topk::Status& status) {
  return status.code() == topk::StatusCode::kOutOfMemory ? GGML_STATUS_ALLOC_FAILED : GGML_STATUS_FAILED;
}

// Says why a computation failed, to ggml's log and to who asks later.
ggml_status Fail(State& state, const std::string& message, ggml_status status = GGML_STATUS_FAILED) {
  GGML_LOG_ERROR("%s: %s\n", kBackendName, message.c_str());
  state.set_last_error(message);
  return status;
}

ggml_status ComputeGraph(BackendContext& context, ggml_cgraph* graph) {
  State& state = *context.state;
  const std::shared_ptr<const Settings> settings = state.settings();
  topk::Executor executor = topk::OpenMpExecutor(context.n_threads);
  executor.scratch = &context.scratch;
  const int n_nodes = ggml_graph_n_nodes(graph);
  for (int i = 0; i < n_nodes; ++i) {
    const ggml_tensor& node = *ggml_graph_node(graph, i);
    if ((node.flags & GGML_TENSOR_FLAG_COMPUTE) == 0 || IsNoOp(node.op)) continue;
    if (context.abort_callback != nullptr && context.abort_callback(context.abort_callback_data)) {
      return GGML_STATUS_ABORTED;
    }
    if (const char* reason = WhyUnsupported(node); reason != nullptr) {
      return Fail(state, std::string("can't compute ") + ggml_op_desc(&node) + ": " + reason);
    }
    state.any_attention = true;
    if (const topk::Status status = ComputeAttention(node, *settings, executor, state); !status.ok()) {
      return Fail(state, status.message(), StatusFor(status));
    }
  }
  return GGML_STATUS_SUCCESS;
}

ggml_status BackendGraphCompute(ggml_backend_t backend, ggml_cgraph* graph) {
  try {
    return ComputeGraph(ContextOf(backend), graph);
  } catch (const std::exception& error) {
    return Fail(*ContextOf(backend).state, error.what());
  }
}

ggml_backend_i BackendInterface() {
  ggml_backend_i interface = {};
  interface.get_name = BackendGetName;
  interface.free = BackendFree;
  interface.graph_compute = BackendGraphCompute;
  return interface;
}

// ---- device ----

const char* DeviceGetName(ggml_backend_dev_t /*device*/) { return kBackendName; }

const char* DeviceGetDescription(ggml_backend_dev_t /*device*/) { return "exact top-k attention"; }

// Zeros mean "no memory of its own to report".
void DeviceGetMemory(ggml_backend_dev_t /*device*/, size_t* free, size_t* total) {
  *free = 0;
  *total = 0;
}

enum ggml_backend_dev_type DeviceGetType(ggml_backend_dev_t /*device*/) { return GGML_BACKEND_DEVICE_TYPE_ACCEL; }

void DeviceGetProps(ggml_backend_dev_t device, ggml_backend_dev_props* props) {
  props->name = DeviceGetName(device);
  props->description = DeviceGetDescription(device);
  props->type = DeviceGetType(device);
  DeviceGetMemory(device, &props->memory_free, &props->memory_total);
  props->caps = {};
  props->caps.buffer_from_host_ptr = true;
  // llama.cpp maps weights from the file only if every device allows it.
  props->caps.mmap_support = true;
}

ggml_backend_t DeviceInitBackend(ggml_backend_dev_t device, const char* /*params*/) {
  // ggml owns the two objects until it calls BackendFree.
  try {
    auto context = std::make_unique<BackendContext>();
    context->state = State::ForNewBackends();
    auto backend = std::make_unique<ggml_backend>();
    *backend = {Guid(), BackendInterface(), device, context.get()};
    context->state->any_context = true;
    context.release();  // NOLINT(bugprone-unused-return-value): the backend has it
    return backend.release();
  } catch (const std::exception& error) {
    GGML_LOG_ERROR("%s: %s\n", kBackendName, error.what());
    return nullptr;
  }
}

ggml_backend_buffer_type_t DeviceGetBufferType(ggml_backend_dev_t /*device*/) { return ggml_backend_cpu_buffer_type(); }

ggml_backend_buffer_t DeviceBufferFromHostPointer(ggml_backend_dev_t /*device*/, void* data, size_t size,
                                                  size_t /*max_tensor_size*/) {
  return ggml_backend_cpu_buffer_from_ptr(data, size);
}

bool DeviceSupportsOp(ggml_backend_dev_t /*device*/, const ggml_tensor* op) {
  return IsNoOp(op->op) || WhyUnsupported(*op) == nullptr;
}

bool DeviceSupportsBufferType(ggml_backend_dev_t /*device*/, ggml_backend_buffer_type_t type) {
  return ggml_backend_buft_is_host(type);
}

ggml_backend_device_i DeviceInterface() {
  ggml_backend_device_i interface = {};
  interface.get_name = DeviceGetName;
  interface.get_description = DeviceGetDescription;
  interface.get_memory = DeviceGetMemory;
  interface.get_type = DeviceGetType;
  interface.get_props = DeviceGetProps;
  interface.init_backend = DeviceInitBackend;
  interface.get_buffer_type = DeviceGetBufferType;
  interface.buffer_from_host_ptr = DeviceBufferFromHostPointer;
  interface.supports_op = DeviceSupportsOp;
  interface.supports_buft = DeviceSupportsBufferType;
  return interface;
}

// ---- registration ----

const char* RegistrationGetName(ggml_backend_reg_t /*registration*/) { return kBackendName; }

size_t RegistrationGetDeviceCount(ggml_backend_reg_t /*registration*/) { return 1; }

ggml_backend_dev_t RegistrationGetDevice(ggml_backend_reg_t registration, size_t /*index*/) {
  static ggml_backend_device device = {DeviceInterface(), registration, nullptr};
  return &device;
}

void SetThreads(ggml_backend_t backend, int n_threads) { ContextOf(backend).n_threads = n_threads; }

void SetAbortCallback(ggml_backend_t backend, ggml_abort_callback callback, void* data) {
  ContextOf(backend).abort_callback = callback;
  ContextOf(backend).abort_callback_data = data;
}

ggml_backend_feature* GetFeatures(ggml_backend_reg_t /*registration*/) {
  // Ends with a null name.
  static std::vector<ggml_backend_feature> features = [] {
    std::vector<ggml_backend_feature> list;
    const std::vector<const char*> targets = topk::SimdTargets();
    list.push_back({"SIMD", targets.empty() ? "none" : targets.front()});
    list.push_back({nullptr, nullptr});
    return list;
  }();
  return features.data();
}

// Only what llama.cpp knows by these names has ggml's signatures.
const ggml_backend_set_n_threads_t kSetThreads = SetThreads;
const ggml_backend_set_abort_callback_t kSetAbortCallback = SetAbortCallback;
const ggml_backend_get_features_t kGetFeatures = GetFeatures;

void* RegistrationGetProcAddress(ggml_backend_reg_t /*registration*/, const char* name) {
  const std::string_view wanted = name;
  if (wanted == "ggml_backend_set_n_threads") return reinterpret_cast<void*>(kSetThreads);
  if (wanted == "ggml_backend_set_abort_callback") return reinterpret_cast<void*>(kSetAbortCallback);
  if (wanted == "ggml_backend_get_features") return reinterpret_cast<void*>(kGetFeatures);
  return ProcAddress(wanted);
}

}  // namespace

ggml_backend_reg_t TopKRegistration() {
  static ggml_backend_reg registration = {
      GGML_BACKEND_API_VERSION,
      {RegistrationGetName, RegistrationGetDeviceCount, RegistrationGetDevice, RegistrationGetProcAddress},
      nullptr};
  return &registration;
}

}  // namespace qwen_infer
