// Profiles: settings that were measured for one model (qwen-infer tune), as a JSON file.
//
//   {"format": "qwen-infer profile 1",
//    "model": {"name": "a.gguf", "fingerprint": "0123456789abcdef",
//              "attention": [{"layers": 24, "heads": 14, "kv_heads": 2, "head_size": 64}]},
//    "settings": "k=128,k@0=212",
//    ...}
//
// "attention" has an entry for each run of layers that are alike, in their order. "settings" is in the text form of
// settings.h, without files. What else is there says how they came about; readers pass over it.
#ifndef QWEN_INFER_SRC_GGML_PROFILE_H_
#define QWEN_INFER_SRC_GGML_PROFILE_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "topk/status.h"

namespace qwen_infer {

// Of the attention of one layer.
struct AttentionShape {
  int64_t n_head = 0;
  int64_t n_head_kv = 0;
  int64_t head_size = 0;

  bool operator==(const AttentionShape&) const = default;
};

// The model that a profile was made for.
struct ProfiledModel {
  std::string name;                    // of its file
  uint64_t fingerprint = 0;            // engine/model_file.h
  std::vector<AttentionShape> layers;  // at least one
  std::string profile;                 // the profile's file, for errors
};

struct Profile {
  ProfiledModel model;
  std::string settings;
};

// notes: an object with what else is to be in the file.
std::string FormatProfile(const Profile& profile, const nlohmann::ordered_json& notes);

// Reads what FormatProfile wrote; kInvalidArgument, with the reason, for anything else. The settings are not looked at.
topk::Status ParseProfile(std::string_view text, Profile& out);

// The same of a file, whose name the message has. Blocking.
topk::Status ReadProfile(const std::string& path, Profile& out);

// kInvalidArgument, naming both models, if a profile is of another one than this file. What a program knows of a model
// without its file is what its attention looks like: a layer of another shape, or past the last, is refused alike.
topk::Status CheckModel(const ProfiledModel& wanted, std::string_view name, uint64_t fingerprint);
topk::Status CheckLayer(const ProfiledModel& wanted, int layer, const AttentionShape& found);

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_GGML_PROFILE_H_
