/* What the plugin offers to a program that has loaded it, by ggml_backend_reg_get_proc_address(reg, name), where reg is
 * ggml_backend_reg_by_name("TOPK"). Names: "topk_get_statistics", "topk_reset_statistics", "topk_set_settings", and
 * ggml's own "ggml_backend_set_n_threads", "ggml_backend_set_abort_callback" and "ggml_backend_get_features".
 * Plain C. All functions may be called from any thread at any time. */
#ifndef QWEN_INFER_SRC_GGML_C_API_H_
#define QWEN_INFER_SRC_GGML_C_API_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Sums over all attention ops of a layer. */
struct topk_layer_statistics {
  int32_t layer;      /* -1: attention of no known layer */
  int32_t reserved;   /* 0 */
  int64_t calls;      /* ops computed */
  int64_t rows;       /* queries times heads */
  int64_t dense_rows; /* rows that kept every key or ran dense */
  int64_t keys_seen;  /* visible keys, summed over rows */
  int64_t keys_kept;
  int64_t mass_rows; /* rows whose mass was measured */
  double mass_sum;   /* over those rows */
  double mass_min;   /* over those rows; 1 if there are none */
  double seconds;    /* wall time */
};

/* Fills layers[0 .. min(result, capacity)), ascending by layer, and returns how many layers have run; -1 if memory ran
 * out. layers may be null if capacity is 0. */
typedef int32_t (*topk_get_statistics_t)(struct topk_layer_statistics* layers, int32_t capacity);

/* Starts all sums at zero again. */
typedef void (*topk_reset_statistics_t)(void); /* NOLINT(modernize-redundant-void-arg) */

/* Replaces all settings by the defaults changed by `settings`, a string as in the environment variable TOPK_ATTENTION.
 * Returns 0; or 1 for a bad string, which changes nothing and leaves up to message_size bytes of explanation, ended by
 * a zero, in `message` (may be null if message_size is 0). */
typedef int32_t (*topk_set_settings_t)(const char* settings, char* message, size_t message_size);

#ifdef __cplusplus
}
#endif

#endif /* QWEN_INFER_SRC_GGML_C_API_H_ */
