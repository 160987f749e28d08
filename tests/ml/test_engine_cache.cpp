// The file of measured convolution engines: host logic of the cuDNN back end that needs no GPU.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "ml/backends/engine_cache.hpp"

namespace tramontane {
namespace {

namespace fs = std::filesystem;

EngineKey key(int images = 16, const std::string& type = "bf16") {
  EngineKey k;
  k.operation = "forward";
  k.extents = {images, 24, 24, 3, 32, 64, 32, 64, 2};
  k.activated = true;
  k.type = type;
  k.device = "NVIDIA H100 80GB HBM3";
  k.library = "cuDNN 9.19.0";
  return k;
}

EngineChoice choice(std::int64_t engine) {
  return {"fused", engine, {{2, 1}, {14, -3}}, 12.5};
}

class EngineCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("tramontane-engines-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    path_ = (folder_ / "below" / "engines.txt").string();
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string text() const {
    std::ifstream file(path_);
    std::ostringstream all;
    all << file.rdbuf();
    return all.str();
  }
  void replace(const std::string& all) const { std::ofstream(path_) << all; }

  fs::path folder_;
  std::string path_;
};

TEST(EngineChoice, TextAndBack) {
  for (const EngineChoice& c : {choice(38), EngineChoice{"plain", 0, {}, 0.0}, EngineChoice{"x", 1, {{7, 0}}, 1e-7}}) {
    const auto back = parse_engine_choice(to_text(c));
    ASSERT_TRUE(back.has_value()) << to_text(c);
    EXPECT_EQ(*back, c);
  }
  EXPECT_EQ(to_text(choice(38)), "fused engine 38 knobs 2=1,14=-3 us 12.5");
}

TEST(EngineChoice, OtherTextsAreRefused) {
  for (const char* text :
       {"", "fused", "fused engine 38", "fused engine x knobs none us 1", "fused engine -1 knobs none us 1",
        "fused engine 38 knobs 2 us 1", "fused engine 38 knobs 2=1,2=4 us 1", "fused engine 38 knobs 2=1, us 1",
        "fused engine 38 knobs none us nan", "fused engine 38 knobs none us -1", "fused engine 38 knobs none us 1 more",
        " engine 38 knobs none us 1", "fused engine 99999999999999999999 knobs none us 1"})
    EXPECT_FALSE(parse_engine_choice(text).has_value()) << text;
}

TEST(EngineKey, EveryPartCounts) {
  const EngineKey base = key();
  std::vector<EngineKey> others(13, base);
  others[0].operation = "backward_data";
  others[1].activated = false;
  others[2].type = "f32";
  others[3].device = "another";
  others[4].library = "cuDNN 9.20.0";
  others[5].extents.images = 8;
  others[6].extents.height = 12;
  others[7].extents.width = 12;
  others[8].extents.kernel = 1;
  others[9].extents.dilation = 1;
  others[10].extents.in_channels = 30;
  others[11].extents.out_channels = 60;
  others[12].extents.out_stride = 80;
  for (std::size_t k = 0; k < others.size(); ++k) EXPECT_NE(others[k].text(), base.text()) << k;
  EngineKey odd = base;
  odd.device = "two\tparts\nof a name";
  EXPECT_EQ(odd.text().find_first_of("\t\n"), std::string::npos);
}

TEST_F(EngineCacheTest, WhatIsSavedIsFoundAgain) {
  EngineCache first(path_);
  EXPECT_EQ(first.find(key()), nullptr);
  first.insert(key(), choice(38));
  first.insert(key(8), choice(39));
  first.save();
  EXPECT_EQ(first.take_problem(), "");
  EngineCache second(path_);
  EXPECT_EQ(second.take_problem(), "");
  ASSERT_NE(second.find(key()), nullptr);
  EXPECT_EQ(*second.find(key()), choice(38));
  EXPECT_EQ(*second.find(key(8)), choice(39));
  EXPECT_EQ(second.find(key(16, "f32")), nullptr);
  for (const auto& entry : fs::directory_iterator(fs::path(path_).parent_path()))
    EXPECT_EQ(entry.path().string(), path_) << "a file was left aside";
}

TEST_F(EngineCacheTest, AnotherProcessesChoicesSurvive) {
  EngineCache one(path_), two(path_);
  one.insert(key(1), choice(1));
  two.insert(key(2), choice(2));
  two.insert(key(1), choice(3));
  one.save();
  two.save();
  EngineCache both(path_);
  ASSERT_NE(both.find(key(1)), nullptr);
  ASSERT_NE(both.find(key(2)), nullptr);
  EXPECT_EQ(both.find(key(1))->engine, 3);
}

TEST_F(EngineCacheTest, DamagedLinesAreIgnoredWithAWord) {
  EngineCache cache(path_);
  for (int k = 1; k <= 20; ++k) cache.insert(key(k), choice(k));
  cache.save();
  const std::string good = text();
  const std::size_t body = good.find('\n') + 1;
  // Any one byte of the body: at most two lines are lost (a line break may be hit), no other choice changes.
  for (std::size_t at = body; at < good.size(); at += 37) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x11);
    replace(bad);
    EngineCache again(path_);
    EXPECT_NE(again.take_problem().find("damaged and ignored"), std::string::npos) << at;
    EXPECT_EQ(again.take_problem(), "");
    EXPECT_GE(again.size(), 18u);
    for (int k = 1; k <= 20; ++k)
      if (const EngineChoice* found = again.find(key(k)); found != nullptr) {
        EXPECT_EQ(*found, choice(k)) << at;
      }
  }
  replace(good.substr(0, good.size() - 5));
  EngineCache cut(path_);
  EXPECT_EQ(cut.size(), 19u);
  EXPECT_NE(cut.take_problem(), "");
}

TEST_F(EngineCacheTest, AnotherVersionsFileIsIgnoredAndReplaced) {
  fs::create_directories(fs::path(path_).parent_path());
  replace("tramontane convolution engines 0\nsomething else\n");
  EngineCache cache(path_);
  EXPECT_NE(cache.take_problem().find("not a file of this version"), std::string::npos);
  EXPECT_EQ(cache.size(), 0u);
  cache.insert(key(), choice(5));
  cache.save();
  EngineCache again(path_);
  EXPECT_EQ(again.take_problem(), "");
  EXPECT_EQ(again.size(), 1u);
}

TEST_F(EngineCacheTest, AFolderThatCannotBeMadeIsSaidOnce) {
  std::ofstream(folder_ / "file") << "in the way";
  EngineCache cache((folder_ / "file" / "engines.txt").string());
  cache.insert(key(), choice(5));
  cache.save();
  EXPECT_NE(cache.take_problem().find("could not be written"), std::string::npos);
  EXPECT_NE(cache.find(key()), nullptr) << "the choice still serves this run";
}

TEST_F(EngineCacheTest, WithoutAPathNothingIsWritten) {
  EngineCache cache("");
  cache.insert(key(), choice(5));
  cache.save();
  EXPECT_EQ(cache.take_problem(), "");
  EXPECT_NE(cache.find(key()), nullptr);
}

TEST(CachePath, FollowsTheEnvironment) {
  const auto keep = [](const char* name) {
    const char* value = std::getenv(name);
    return value ? std::optional<std::string>(value) : std::nullopt;
  };
  const char* names[] = {"TRAMONTANE_CACHE", "XDG_CACHE_HOME", "HOME"};
  std::optional<std::string> before[3];
  for (int k = 0; k < 3; ++k) before[k] = keep(names[k]), ::unsetenv(names[k]);
  EXPECT_EQ(cache_path("x"), "");
  ::setenv("HOME", "/home/a", 1);
  EXPECT_EQ(cache_path("x"), "/home/a/.cache/tramontane/x");
  ::setenv("XDG_CACHE_HOME", "/cache", 1);
  EXPECT_EQ(cache_path("x"), "/cache/tramontane/x");
  ::setenv("TRAMONTANE_CACHE", "/here", 1);
  EXPECT_EQ(cache_path("x"), "/here/x");
  for (int k = 0; k < 3; ++k) before[k] ? ::setenv(names[k], before[k]->c_str(), 1) : ::unsetenv(names[k]);
}

}  // namespace
}  // namespace tramontane
