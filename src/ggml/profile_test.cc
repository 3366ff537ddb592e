#include "profile.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "settings.h"

namespace qwen_infer {
namespace {

using Json = nlohmann::ordered_json;

Profile Example(const std::string& settings = "k=128,k@0=200,sinks@1=4") {
  return {.model = {.name = "a.gguf",
                    .fingerprint = 0x00c0ffee,
                    .layers = {{14, 2, 64}, {14, 2, 64}, {8, 8, 128}},
                    .profile = {}},
          .settings = settings};
}

// The path of a file with this content.
std::string File(const std::string& content) {
  const std::string path = ::testing::TempDir() + "profile_test.json";
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

std::string FileOf(const Profile& profile) { return File(FormatProfile(profile, Json::object())); }

std::string Refusal(const std::string& content) {
  Profile profile;
  return ParseProfile(content, profile).message();
}

// The example with one member changed, by its JSON pointer.
std::string Changed(const std::string& pointer, const Json& value) {
  Json json = Json::parse(FormatProfile(Example(), Json::object()));
  json[Json::json_pointer(pointer)] = value;
  return json.dump();
}

Settings Parsed(const std::string& text) {
  Settings settings;
  const topk::Status status = ParseSettings(text, settings);
  EXPECT_TRUE(status.ok()) << status.message();
  return settings;
}

TEST(ProfileTest, ReadsWhatItWroteAndPassesOverTheNotes) {
  const std::string text = FormatProfile(Example(), {{"aim", "--budget 128"}, {"held_out", {{"windows", 8}}}});
  EXPECT_EQ(Json::parse(text)["held_out"]["windows"], 8);
  Profile profile;
  ASSERT_TRUE(ParseProfile(text, profile).ok());
  EXPECT_EQ(profile.model.name, "a.gguf");
  EXPECT_EQ(profile.model.fingerprint, 0x00c0ffeeU);
  EXPECT_EQ(profile.model.layers, Example().model.layers);
  EXPECT_EQ(profile.settings, Example().settings);
}

TEST(ProfileTest, NamesWhatIsWrongWithAFile) {
  const std::string whole = FormatProfile(Example(), Json::object());
  EXPECT_EQ(Refusal(""), "it is not valid JSON: is it complete?");
  EXPECT_EQ(Refusal(whole.substr(0, whole.size() / 2)), "it is not valid JSON: is it complete?");
  EXPECT_EQ(Refusal(std::string(100'000, '[')), "it is not valid JSON: is it complete?");
  EXPECT_EQ(Refusal("[1]"), "it is no profile");
  EXPECT_EQ(Refusal("{}"), "it is no profile");
  EXPECT_EQ(Refusal(Changed("/format", "something else")), "it is no profile");
  EXPECT_EQ(Refusal(Changed("/format", 3)), "\"format\" is no text");
  EXPECT_EQ(
      Refusal(Changed("/format", "qwen-infer profile 2")),
      "its format is \"qwen-infer profile 2\", and this program reads \"qwen-infer profile 1\": make it anew with "
      "qwen-infer tune");
  EXPECT_EQ(Refusal(Changed("/settings", Json::array())), "\"settings\" is no text");
  EXPECT_EQ(Refusal(Changed("/model/name", nullptr)), "\"name\" is no text");
  EXPECT_EQ(Refusal(Changed("/model/fingerprint", "0123")), "\"fingerprint\" is not 16 hexadecimal digits");
  EXPECT_EQ(Refusal(Changed("/model/fingerprint", "-123456789abcdef")), "\"fingerprint\" is not 16 hexadecimal digits");
  EXPECT_EQ(Refusal(Changed("/model/attention/0/heads", -1)), "\"heads\" is -1, allowed is 1 to 65536");
  EXPECT_EQ(Refusal(Changed("/model/attention/0/head_size", 1e300)), "\"head_size\" is 1e+300, allowed is 1 to 1024");
  EXPECT_EQ(Refusal(Changed("/model/attention/0/layers", 10001)), "\"layers\" is 10001, allowed is 1 to 10000");
  EXPECT_EQ(Refusal(Changed("/model/attention", Json::array())), "\"attention\" is not that of 1 to 10000 layers");
  const Json run = {{"layers", 10000}, {"heads", 1}, {"kv_heads", 1}, {"head_size", 1}};
  EXPECT_EQ(Refusal(Changed("/model/attention", Json(std::vector<Json>(5000, run)))),
            "\"attention\" is not that of 1 to 10000 layers");
  EXPECT_NE(Refusal(Changed("/model", 3)), "");
  EXPECT_NE(Refusal(Changed("/model/attention", "text")), "");
}

TEST(ProfileTest, AFileThatIsNoneIsNamed) {
  Profile profile;
  EXPECT_EQ(ReadProfile("/no/such/file", profile).message(),
            "cannot use the profile /no/such/file: there is no such file, or it cannot be read");
  const std::string folder = ::testing::TempDir();
  EXPECT_EQ(ReadProfile(folder, profile).message(),
            "cannot use the profile " + folder + ": it is empty, or no file that can be read");
  const std::string huge = File(std::string((size_t{1} << 22) + 1, ' '));
  EXPECT_EQ(ReadProfile(huge, profile).message(),
            "cannot use the profile " + huge + ": it has more than 4194304 bytes");
}

TEST(ProfileTest, OtherModelsAreRefusedByTheirContentAndByTheirAttention) {
  ProfiledModel wanted = Example().model;
  wanted.profile = "p.json";
  EXPECT_TRUE(CheckModel(wanted, "renamed.gguf", 0x00c0ffee).ok());
  EXPECT_EQ(CheckModel(wanted, "b.gguf", 1).message(),
            "the profile p.json was made for the model a.gguf (fingerprint 0000000000c0ffee), and this is b.gguf "
            "(0000000000000001): make one with qwen-infer tune, or leave the profile out");
  EXPECT_TRUE(CheckLayer(wanted, 2, {8, 8, 128}).ok());
  EXPECT_TRUE(CheckLayer(wanted, kUnknownLayer, {1, 1, 1}).ok());
  EXPECT_EQ(
      CheckLayer(wanted, 0, {9, 3, 64}).message(),
      "the profile p.json was made for the model a.gguf with 14 heads, 2 KV heads and a head size of 64, and this "
      "is a model with 9 heads, 3 KV heads and a head size of 64: make one with qwen-infer tune, or leave the "
      "profile out");
  EXPECT_EQ(CheckLayer(wanted, 3, {8, 8, 128}).message(),
            "the profile p.json was made for the model a.gguf with 3 layers, and this is a model with a layer 3: make "
            "one with qwen-infer tune, or leave the profile out");
}

TEST(ProfileTest, SettingsBesideItWinWhereverItStands) {
  const std::string profile = "profile=" + FileOf(Example());
  for (const std::string& text : {profile + ",k@2=7,window=5", "k@2=7,window=5," + profile}) {
    const Settings settings = Parsed(text);
    EXPECT_EQ(settings.ForLayer(0, 4096).k, 200);
    EXPECT_EQ(settings.ForLayer(1, 4096).k, 128);
    EXPECT_EQ(settings.ForLayer(1, 4096).sinks, 4);
    EXPECT_EQ(settings.ForLayer(2, 4096).k, 7);
    EXPECT_EQ(settings.options.window, 5);
    ASSERT_NE(settings.made_for, nullptr);
    EXPECT_EQ(settings.made_for->name, "a.gguf");
  }
  // A plain name is for all layers, those that the profile singles out among them, but not those that the user does.
  for (const std::string& text : {profile + ",k=64,k@2=7", "k@2=7,k=64," + profile}) {
    const Settings settings = Parsed(text);
    EXPECT_EQ(settings.ForLayer(0, 4096).k, 64);
    EXPECT_EQ(settings.ForLayer(1, 4096).sinks, 4);
    EXPECT_EQ(settings.ForLayer(2, 4096).k, 7);
  }
}

TEST(ProfileTest, ALaterProfileTakesThePlaceOfAnEarlierOne) {
  Settings settings = Parsed("k@2=7,profile=" + FileOf(Example()));
  ASSERT_TRUE(ParseSettings("profile=" + FileOf(Example("k=100,k@1=300")), settings).ok());
  EXPECT_EQ(settings.ForLayer(0, 4096).k, 100);
  EXPECT_EQ(settings.ForLayer(1, 4096).k, 300);
  EXPECT_EQ(settings.ForLayer(1, 4096).sinks, 0);
  EXPECT_EQ(settings.ForLayer(2, 4096).k, 7);
}

TEST(ProfileTest, TheTextOfSettingsHasWhatCameOfIt) {
  const Settings settings = Parsed("profile=" + FileOf(Example()));
  const Settings again = Parsed(FormatSettings(settings));
  EXPECT_EQ(again.ForLayer(0, 4096).k, 200);
  EXPECT_EQ(again.options.k, 128);
}

TEST(ProfileTest, ItsSettingsAreCheckedAndNameNoFiles) {
  const auto refusal = [](const std::string& settings) {
    Settings unchanged;
    const std::string message = ParseSettings("profile=" + FileOf(Example(settings)), unchanged).message();
    EXPECT_EQ(unchanged.made_for, nullptr);
    return message;
  };
  EXPECT_NE(refusal("k=0").find("its setting \"k=0\": k=0 is not allowed"), std::string::npos) << refusal("k=0");
  EXPECT_NE(refusal("k=9,profile=" + FileOf(Example())).find("not in a profile"), std::string::npos);
  EXPECT_NE(refusal("record@0=/tmp/x").find("its setting \"record@0=/tmp/x\": not in a profile"), std::string::npos);
  EXPECT_NE(refusal("k=9,max_k=8,min_mass=0.5"), "");
  Settings settings;
  EXPECT_NE(ParseSettings("profile=", settings).message().find("the name of a file is missing"), std::string::npos);
  EXPECT_NE(ParseSettings("profile@1=a", settings).message().find("takes no @"), std::string::npos);
}

}  // namespace
}  // namespace qwen_infer
