// The HTTP routes of `qwen-infer serve`: llama.cpp's, and ours under /topk.
#ifndef QWEN_INFER_APPS_SERVE_ROUTES_H_
#define QWEN_INFER_APPS_SERVE_ROUTES_H_

#include <atomic>
#include <string>

struct common_params;
struct server_http_context;
struct server_mcp;
struct server_routes;
struct server_tools;

namespace qwen_infer {

// Registers all routes with `http`. Everything is kept by reference and must outlive it. Throws what the set-up of
// llama.cpp's tools throws if they are misconfigured.
//
// Unless the user names other origins (--cors-origins), a request that a web page of another machine makes is refused
// with 403: a browser would keep the answer from that page, but only after the model has done the work. If the server
// listens on loopback addresses alone, so is a request to any other name than theirs (Host): it comes from a page whose
// name was made to resolve to this machine.
//
// Bodies are checked first (serve_requests.h).
//
// Once `stopping` is set, requests are answered with 503, those that wait for the model within a second.
void RegisterRoutes(const common_params& params, const server_routes& routes, server_tools& tools, server_mcp& mcp,
                    const std::atomic<bool>& stopping, const server_http_context& http);

// What to tell the user who lets other machines in without a key; else empty.
std::string ExposureWarning(const common_params& params);

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_SERVE_ROUTES_H_
