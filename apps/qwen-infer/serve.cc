// qwen-infer serve: an HTTP server that speaks OpenAI's protocol, from the parts of llama-server, which has no hook for
// a route of one's own. One model a process: llama-server's router mode is not here.
#include <signal.h>

#include <atomic>
#include <chrono>
#include <clocale>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <future>
#include <iostream>
#include <string>
#include <utility>

#include "interrupts.h"
#include "run.h"
#include "serve_routes.h"
#include "subcommands.h"

// llama.cpp's; after the standard headers that they forget.
#include "arg.h"
#include "common.h"
#include "llama.h"
#include "log.h"
#include "server-context.h"
#include "server-http.h"
#include "server-mcp.h"
#include "server-stream.h"
#include "server-tools.h"

namespace qwen_infer {

namespace {

// What "auto" means for a server, as in llama-server.
void ResolveAutomaticParameters(common_params& params) {
  if (params.embedding && params.n_batch > params.n_ubatch) {
    // An embedding needs all its tokens in one micro-batch.
    LOG_WRN("embeddings: n_batch is lowered from %d to n_ubatch, %d\n", params.n_batch, params.n_ubatch);
    params.n_batch = params.n_ubatch;
  }
  if (params.n_parallel < 0) {
    params.n_parallel = 4;
    params.kv_unified = true;
  }
  // -c 0 asks for the model's own context size, and llama.cpp's parser then writes this to fit_params_min_ctx.
  const bool asked_for_whole_context = static_cast<uint32_t>(params.fit_params_min_ctx) == UINT32_MAX;
  if (params.kv_unified_per_slot > 0 && params.n_ctx == 0 && !asked_for_whole_context) {
    params.n_ctx = params.n_parallel * params.kv_unified_per_slot;
  }
  // Clients see this name: of a file, that without the folders of this machine.
  std::string name = params.model.get_name();
  if (name == params.model.path) name = std::filesystem::path(name).filename().string();
  if (params.model_alias.empty() && !name.empty()) params.model_alias.insert(name);
}

// Downloads the model if it is named by a repository or an address. False, after a message, if there is no model then.
bool ResolveModel(common_params& params) {
  try {
    common_models_handler handler;
    if (!params.model.hf_repo.empty()) {
      handler = common_models_handler_init(params, LLAMA_EXAMPLE_SERVER);
      if (common_models_handler_is_preset_repo(handler)) {
        PrintError(params.model.hf_repo + " is a list of models, which only llama-server serves: name one model");
        return false;
      }
    }
    common_models_handler_apply(handler, params);
  } catch (const std::exception& error) {
    PrintError(std::string("cannot get the model: ") + error.what());
    return false;
  }
  if (params.model.path.empty()) PrintError("serve needs a model: -m FILE.gguf");
  return !params.model.path.empty();
}

constexpr int kMaxPort = 65535;

// How long a stop may take. Requests that wait for the model end within one second; this is for what does not: the pass
// of a long prompt, a client that has sent half a request.
constexpr std::chrono::seconds kStopPatience{2};

// From the parsed command line to the end of the server. Returns the exit code.
int Serve(common_params& params) {
  if (const std::string warning = ExposureWarning(params); !warning.empty()) {
    std::cerr << "warning: " << warning << "\n";
  }
  if (!ResolveModel(params)) return kExitFailure;
  ResolveAutomaticParameters(params);

  // Destroyed in reverse: the listener of interrupts and the HTTP threads before what they use.
  server_mcp mcp;
  server_context context;
  server_routes routes(params, context);
  std::atomic<bool> stopping = false;
  server_tools tools;
  server_http_context http;
  if (!http.init(params)) return kExitFailure;
  try {
    mcp.start(params);
    RegisterRoutes(params, routes, tools, mcp, stopping, http);
  } catch (const std::exception& error) {
    PrintError(std::string("cannot set up the tools: ") + error.what());
    return kExitFailure;
  }

  const auto stop = [&] {
    stopping = true;
    server_stream_session_manager_stop();  // wakes readers that wait for more
    http.stop();
    context.terminate();
    mcp.shutdown();
    http.join();
  };
  // Listens before the model is loaded: /health tells that it is loading.
  if (!http.start() || !context.load_model(params)) {
    stop();
    return kExitFailure;
  }
  // Loading has decoded some tokens: to warm up, and to try out what the model's memory can do.
  llama_perf_context_reset(context.get_llama_context());
  routes.update_meta(context);
  http.is_ready.store(true);
  for (const std::string& address : http.listening_addresses) LOG_INF("listening on %s\n", address.c_str());
  std::promise<void> stopped;
  const InterruptListener listener([&] {
    stopping = true;
    context.terminate();
    if (stopped.get_future().wait_for(kStopPatience) == std::future_status::timeout) EndNow(kExitSuccess);
  });
  context.start_loop();  // until terminated
  stop();
  stopped.set_value();
  return kExitSuccess;
}

// llama_server's contract.
int ServeMain(int argc, char** argv) {
  std::setlocale(LC_NUMERIC, "C");
  signal(SIGPIPE, SIG_IGN);  // a client or tool that goes away is no reason to end
  common_init();
  common_params params;
  params.cors_origins = "localhost";  // llama-server's default, any page of the web, is --cors-origins '*'
  if (!common_params_parse(argc, argv, params, LLAMA_EXAMPLE_SERVER)) return kExitFailure;
  if (params.port < 0 || params.port > kMaxPort) {
    PrintError("--port " + std::to_string(params.port) + " is not from 0 (any free one) to " +
               std::to_string(kMaxPort));
    return kExitUsage;
  }
  llama_backend_init();
  llama_numa_init(params.numa);
  server_stream_session_manager_start();
  const int code = Serve(params);
  llama_backend_free();
  common_log_flush(common_log_main());
  return code;
}

}  // namespace

int RunServe(Arguments arguments) {
  return RunTool({.name = "serve",
                  .summary = "OpenAI-compatible HTTP server; GET /topk/stats tells what top-k attention kept so far",
                  .example = "-m model.gguf --use_top_k_attention --port 8080",
                  .entry = ServeMain,
                  .handles_interrupts = true},
                 arguments);
}

}  // namespace qwen_infer
