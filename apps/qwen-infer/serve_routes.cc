#include "serve_routes.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <strings.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "engine/chat_roles.h"
#include "engine/model_check.h"
#include "page_nonce.h"
#include "perf_hooks.h"
#include "plugin.h"
#include "report.h"
#include "run.h"
#include "serve_config.h"
#include "serve_metrics.h"
#include "serve_page.h"
#include "serve_requests.h"
#include "serve_roles.h"

// llama.cpp's; after the standard headers that they forget, and server-models.h before server-cors-proxy.h, which
// uses its server_http_proxy without including it. A block of its own: includes are sorted within blocks.
#include "server-models.h"

#include "common.h"
#include "server-common.h"
#include "server-context.h"
#include "server-cors-proxy.h"
#include "server-http.h"
#include "server-mcp.h"
#include "server-stream.h"
#include "server-tools.h"

namespace qwen_infer {

namespace {

using Handler = server_http_context::handler_t;

enum class Method { kGet, kPost, kDelete };

// A route of llama.cpp's server that answers from the model.
struct ModelRoute {
  Method method;
  const char* path;
  Handler server_routes::* handler;
};

constexpr ModelRoute kModelRoutes[] = {
    {Method::kGet, "/health", &server_routes::get_health},
    {Method::kGet, "/v1/health", &server_routes::get_health},
    {Method::kGet, "/props", &server_routes::get_props},
    {Method::kPost, "/props", &server_routes::post_props},
    {Method::kGet, "/models", &server_routes::get_models},
    {Method::kGet, "/v1/models", &server_routes::get_models},
    {Method::kPost, "/completion", &server_routes::post_completions},
    {Method::kPost, "/completions", &server_routes::post_completions},
    {Method::kPost, "/v1/completions", &server_routes::post_completions_oai},
    {Method::kPost, "/chat/completions", &server_routes::post_chat_completions},
    {Method::kPost, "/v1/chat/completions", &server_routes::post_chat_completions},
    {Method::kPost, "/v1/chat/completions/control", &server_routes::post_control},
    {Method::kPost, "/v1/responses", &server_routes::post_responses_oai},
    {Method::kPost, "/responses", &server_routes::post_responses_oai},
    {Method::kPost, "/v1/audio/transcriptions", &server_routes::post_transcriptions_oai},
    {Method::kPost, "/audio/transcriptions", &server_routes::post_transcriptions_oai},
    {Method::kPost, "/v1/messages", &server_routes::post_anthropic_messages},
    {Method::kPost, "/infill", &server_routes::post_infill},
    {Method::kPost, "/embedding", &server_routes::post_embeddings},
    {Method::kPost, "/embeddings", &server_routes::post_embeddings},
    {Method::kPost, "/v1/embeddings", &server_routes::post_embeddings_oai},
    {Method::kPost, "/rerank", &server_routes::post_rerank},
    {Method::kPost, "/reranking", &server_routes::post_rerank},
    {Method::kPost, "/v1/rerank", &server_routes::post_rerank},
    {Method::kPost, "/v1/reranking", &server_routes::post_rerank},
    {Method::kPost, "/tokenize", &server_routes::post_tokenize},
    {Method::kPost, "/detokenize", &server_routes::post_detokenize},
    {Method::kPost, "/apply-template", &server_routes::post_apply_template},
    {Method::kPost, "/chat/completions/input_tokens", &server_routes::post_chat_completions_tok},
    {Method::kPost, "/v1/chat/completions/input_tokens", &server_routes::post_chat_completions_tok},
    {Method::kPost, "/responses/input_tokens", &server_routes::post_responses_tok_oai},
    {Method::kPost, "/v1/responses/input_tokens", &server_routes::post_responses_tok_oai},
    {Method::kPost, "/v1/messages/count_tokens", &server_routes::post_anthropic_count_tokens},
    {Method::kGet, "/lora-adapters", &server_routes::get_lora_adapters},
    {Method::kPost, "/lora-adapters", &server_routes::post_lora_adapters},
    {Method::kGet, "/slots", &server_routes::get_slots},
    {Method::kPost, "/slots/:id_slot", &server_routes::post_slots},
};

server_http_res_ptr JsonAnswer(std::string body, int status = 200) {
  auto answer = std::make_unique<server_http_res>();
  answer->status = status;
  answer->data = std::move(body);
  return answer;
}

server_http_res_ptr ErrorAnswer(const std::string& message, error_type type) {
  const json error = format_error_response(message, type);
  return JsonAnswer(json({{"error", error}}).dump_safe(), json_value(error, "code", 500));
}

server_http_res_ptr GetStatisticsReport(const server_http_req& /*request*/) {
  return JsonAnswer(ReportJson(CurrentRun()));
}

server_http_res_ptr PostStatisticsReset(const server_http_req& /*request*/) {
  ResetStatistics();
  RestartTimings();
  return JsonAnswer("{\"success\": true}\n");
}

server_http_res_ptr GetConfig(const server_http_req& /*request*/) {
  const std::string settings = CurrentRun().use_top_k_attention ? FormatSettings(CurrentSettings()) : "";
  return JsonAnswer(json({{"settings", settings}}).dump_safe());
}

// Needs a key, because it changes what all clients get.
server_http_res_ptr PostConfig(const server_http_req& request, bool has_api_key, const std::string& model_path) {
  if (!has_api_key) {
    return ErrorAnswer("settings change only on a server with a key: start it with --api-key KEY",
                       ERROR_TYPE_PERMISSION);
  }
  if (!CurrentRun().use_top_k_attention) {
    return ErrorAnswer("this server runs full attention: start it with --use_top_k_attention",
                       ERROR_TYPE_INVALID_REQUEST);
  }
  static std::mutex mutex;  // of two clients, each changes what the other has left
  const std::lock_guard lock(mutex);
  Settings settings = CurrentSettings();
  topk::Status status = ApplyConfig(request.body, settings);
  if (status.ok()) status = CheckFitsModel(settings, model_path);
  if (status.ok()) status = SetSettings(settings);
  if (!status.ok()) return ErrorAnswer(status.message(), ERROR_TYPE_INVALID_REQUEST);
  return JsonAnswer(json({{"settings", FormatSettings(settings)}}).dump_safe());
}

// llama.cpp's metrics, then ours.
server_http_res_ptr GetMetrics(const Handler& llama, const server_http_req& request) {
  server_http_res_ptr answer = llama(request);
  if (CurrentRun().use_top_k_attention && answer->status == 200 && !answer->data.empty()) {
    answer->data += PrometheusText(CurrentSettings(), GetStatistics());
  }
  return answer;
}

server_http_res_ptr GetPage(const server_http_req& /*request*/) {
  const std::string nonce = MakeNonce();
  server_http_res_ptr answer = JsonAnswer(PageHtml(nonce));
  answer->content_type = "text/html; charset=utf-8";
  answer->headers = {{"Content-Security-Policy", PagePolicy(nonce)},
                     {"Cache-Control", "no-store"},  // the nonce is for once
                     {"Referrer-Policy", "no-referrer"},
                     {"X-Content-Type-Options", "nosniff"}};
  return answer;
}

server_http_res_ptr AnswerDisabled(const server_http_req& /*request*/) {
  return ErrorAnswer("this feature is disabled", ERROR_TYPE_PERMISSION);
}

// The header's value; HTTP does not distinguish case in names.
std::string_view HeaderValue(const server_http_req& request, const char* name) {
  for (const auto& [key, value] : request.headers) {
    if (strcasecmp(key.c_str(), name) == 0) return value;
  }
  return {};
}

// Whether a name or address, an IPv6 address without brackets, is of this machine's loopback.
bool IsLoopback(const std::string& host) {
  if (strcasecmp(host.c_str(), "localhost") == 0 || host == "::1") return true;
  // As numbers: "127.example.com" is another machine's.
  in_addr address{};
  return inet_pton(AF_INET, host.c_str(), &address) == 1 && ntohl(address.s_addr) >> 24U == IN_LOOPBACKNET;
}

// Whether "host[:port]" is of this machine.
bool IsLocalHost(std::string_view host_and_port) {
  if (!host_and_port.starts_with('[')) return IsLoopback(std::string(host_and_port.substr(0, host_and_port.find(':'))));
  const size_t end = host_and_port.find(']');
  return end != std::string_view::npos && IsLoopback(std::string(host_and_port.substr(1, end - 1)));
}

// Whether "scheme://host[:port]" is of this machine.
bool IsLocalOrigin(std::string_view origin) {
  const size_t scheme_end = origin.find("://");
  return scheme_end != std::string_view::npos && IsLocalHost(origin.substr(scheme_end + 3));
}

// Whether what the server listens on, a socket file or an address, is reached from this machine alone.
bool IsPrivate(const std::string& address) { return address.ends_with(".sock") || IsLoopback(address); }

// Whether a request needs a key. An empty one would be none.
bool HasApiKey(const common_params& params) {
  return !params.api_keys.empty() &&
         std::none_of(params.api_keys.begin(), params.api_keys.end(), [](const auto& key) { return key.empty(); });
}

// What a client may call the model; the first is what GET /v1/models calls it.
std::vector<std::string> ModelNames(const common_params& params) {
  std::vector<std::string> names(params.model_alias.begin(), params.model_alias.end());
  const std::filesystem::path path = params.model.path;
  for (const std::string& name :
       {params.model.get_name(), path.string(), path.filename().string(), path.stem().string()}) {
    if (!name.empty()) names.push_back(name);
  }
  return names;
}

// Which requests are answered at all.
struct Policy {
  bool local_origins_only = false;
  bool local_hosts_only = false;
  const std::atomic<bool>* stopping = nullptr;
};

server_http_res_ptr AnswerStopping() { return ErrorAnswer("the server is shutting down", ERROR_TYPE_UNAVAILABLE); }

// What the policy says against a request; null if it is to be answered.
server_http_res_ptr Refuse(const Policy& policy, const server_http_req& request) {
  if (*policy.stopping) return AnswerStopping();
  const std::string_view origin = HeaderValue(request, "Origin");
  if (policy.local_origins_only && !origin.empty() && !IsLocalOrigin(origin)) {
    return ErrorAnswer("origin '" + std::string(origin) + "' is not local; --cors-origins allows others",
                       ERROR_TYPE_PERMISSION);
  }
  const std::string_view host = HeaderValue(request, "Host");
  if (policy.local_hosts_only && !host.empty() && !IsLocalHost(host)) {
    return ErrorAnswer("host '" + std::string(host) + "' is not local; --host or --cors-origins allows others",
                       ERROR_TYPE_PERMISSION);
  }
  return nullptr;
}

// The answer of one of llama.cpp's handlers, which ends early when the server stops. A handler that waits for the model
// asks its request once a second whether the client has gone; when the server stops, the request says so. llama.cpp's
// answers refer to their request while they are streamed, so both live here.
class StoppableAnswer : public server_http_res {
 public:
  StoppableAnswer(const server_http_req& request, const std::atomic<bool>& stopping)
      : should_stop_([&stopping, client_gone = request.should_stop] { return stopping || client_gone(); }),
        request_{request.params, request.headers, request.path, request.query_string,
                 request.body,   request.files,   should_stop_} {}

  // Throws what the handler throws. To be called once.
  void Ask(const Handler& handler) {
    answer_ = handler(request_);
    status = answer_->status;
    content_type = answer_->content_type;
    headers = answer_->headers;
    if (answer_->is_stream()) {
      next = [this](std::string& chunk) { return answer_->next(chunk); };
    } else {
      data = std::move(answer_->data);
    }
  }

  void on_complete() override { answer_->on_complete(); }

 private:
  const std::function<bool()> should_stop_;
  const server_http_req request_;
  server_http_res_ptr answer_;  // after what it refers to
};

server_http_res_ptr RefusalAnswer(const Refusal& refusal) {
  const json error = {{"code", refusal.status}, {"message", refusal.message}, {"type", refusal.type}};
  return JsonAnswer(json({{"error", error}}).dump_safe(), refusal.status);
}

// A handler that is asked only if the body is in order. What it throws all the same is, but for one thing, about what
// it read in the request: the model computes on another thread.
Handler WithCheckedBody(Handler handler, std::vector<std::string> models) {
  return [handler = std::move(handler), models = std::move(models)](const server_http_req& request) {
    if (const std::optional<Refusal> refusal = CheckModelRequest(request.body, models)) return RefusalAnswer(*refusal);
    try {
      return handler(request);
    } catch (const std::out_of_range&) {
      return ErrorAnswer("a number in the body is out of its range, such as a token that the model does not have",
                         ERROR_TYPE_INVALID_REQUEST);
    } catch (const std::system_error&) {  // of this machine
      throw;
    } catch (const std::runtime_error& error) {
      constexpr std::string_view kOfTheAnswer = "The model produced output";  // that is not as its format wants it
      if (std::string_view(error.what()).starts_with(kOfTheAnswer)) throw;
      return ErrorAnswer(error.what(), ERROR_TYPE_INVALID_REQUEST);
    }
  };
}

// A handler of chats that is asked only if the model's template has a place for each role.
Handler WithCheckedRoles(Handler handler, Handler apply_template) {
  return [handler = std::move(handler), apply_template = std::move(apply_template)](const server_http_req& request) {
    for (const RoleProbe& probe : RoleProbes(request.body)) {
      const server_http_res_ptr answer = apply_template({.params = request.params,
                                                         .headers = request.headers,
                                                         .path = request.path,
                                                         .query_string = request.query_string,
                                                         .body = probe.body,
                                                         .files = {},
                                                         .should_stop = request.should_stop});
      const bool is_seen = answer->data.find(kRoleMarker) != std::string::npos;
      if (answer->status == 200 && !is_seen) return ErrorAnswer(PassedOver(probe.role), ERROR_TYPE_INVALID_REQUEST);
    }
    return handler(request);
  };
}

// A handler that keeps to the policy and turns exceptions into answers.
Handler Guarded(Handler handler, const Policy& policy) {
  return [handler = std::move(handler), policy](const server_http_req& request) -> server_http_res_ptr {
    if (server_http_res_ptr refusal = Refuse(policy, request)) return refusal;
    try {
      auto answer = std::make_unique<StoppableAnswer>(request, *policy.stopping);
      answer->Ask(handler);
      // What llama.cpp's handlers leave for a client that has gone.
      if (*policy.stopping && !answer->is_stream() && answer->data.empty()) return AnswerStopping();
      return answer;
    } catch (const common_json_error& error) {  // of the request: answers are written in a way that cannot fail
      return ErrorAnswer(error.what(), ERROR_TYPE_INVALID_REQUEST);
    } catch (const std::invalid_argument& error) {
      return ErrorAnswer(error.what(), ERROR_TYPE_INVALID_REQUEST);
    } catch (const std::exception& error) {
      return ErrorAnswer(error.what(), ERROR_TYPE_SERVER);
    } catch (...) {
      return ErrorAnswer("unknown error", ERROR_TYPE_SERVER);
    }
  };
}

}  // namespace

void RegisterRoutes(const common_params& params, const server_routes& routes, server_tools& tools, server_mcp& mcp,
                    const std::atomic<bool>& stopping, const server_http_context& http) {
  Policy policy;
  policy.local_origins_only = params.cors_origins == "localhost";
  policy.local_hosts_only =
      policy.local_origins_only && std::all_of(params.hostnames.begin(), params.hostnames.end(), IsLoopback);
  policy.stopping = &stopping;
  const auto add = [&http, &policy](Method method, const char* path, Handler handler) {
    Handler guarded = Guarded(std::move(handler), policy);
    switch (method) {
      case Method::kGet: return http.get(path, guarded);
      case Method::kPost: return http.post(path, guarded);
      case Method::kDelete: return http.del(path, guarded);
    }
  };

  const std::vector<std::string> models = ModelNames(params);
  for (const ModelRoute& route : kModelRoutes) {
    // The fields of a form are strings, whatever they say, and not ours to judge.
    const bool is_form = std::string_view(route.path).ends_with("/transcriptions");
    Handler handler = routes.*route.handler;
    if (route.handler == &server_routes::post_chat_completions) {
      handler = WithCheckedRoles(std::move(handler), routes.post_apply_template);
    }
    add(route.method, route.path,
        route.method == Method::kPost && !is_form ? WithCheckedBody(handler, models) : handler);
  }

  // A stream that its reader can take up again.
  add(Method::kGet, "/v1/stream", server_stream_make_get_handler());
  add(Method::kPost, "/v1/streams/lookup", server_stream_make_lookup_handler());
  add(Method::kDelete, "/v1/stream", server_stream_make_delete_handler());

  http.register_gcp_compat();  // Vertex AI; wants all model routes to be there

  // What llama.cpp lets a web page do through the server, off unless asked for.
  add(Method::kGet, "/cors-proxy", params.ui_mcp_proxy ? proxy_handler_get : Handler(AnswerDisabled));
  add(Method::kPost, "/cors-proxy", params.ui_mcp_proxy ? proxy_handler_post : Handler(AnswerDisabled));
  const bool has_tools = !params.server_tools.empty() || !mcp.empty();
  if (has_tools) tools.setup(params.server_tools, mcp, params.server_tools_runtime);
  add(Method::kGet, "/tools", has_tools ? tools.handle_get : Handler(AnswerDisabled));
  add(Method::kPost, "/tools", has_tools ? tools.handle_post : Handler(AnswerDisabled));

  add(Method::kGet, "/metrics",
      [&llama = routes.get_metrics](const server_http_req& request) { return GetMetrics(llama, request); });
  add(Method::kGet, "/topk/stats", GetStatisticsReport);
  add(Method::kPost, "/topk/stats/reset", PostStatisticsReset);
  add(Method::kGet, "/topk/config", GetConfig);
  add(Method::kPost, "/topk/config",
      [has_api_key = HasApiKey(params), model_path = params.model.path](const server_http_req& request) {
        const std::optional<Refusal> refusal = CheckJson(request.body);
        return refusal ? RefusalAnswer(*refusal) : PostConfig(request, has_api_key, model_path);
      });
  // --path has llama.cpp serve files of the user's there.
  if (params.ui && params.public_path.empty()) add(Method::kGet, "/", GetPage);
}

std::string ExposureWarning(const common_params& params) {
  if (HasApiKey(params)) return {};
  std::string open;
  for (const std::string& address : params.hostnames) {
    if (!IsPrivate(address)) open.append(open.empty() ? "" : ", ").append(address);
  }
  if (open.empty()) return {};
  return "the server listens on " + open + " without a key: who reaches that address can use the model and read what " +
         "others wrote (/slots). Set --api-key KEY, or listen on 127.0.0.1 alone";
}

}  // namespace qwen_infer
