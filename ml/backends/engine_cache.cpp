#include "ml/backends/engine_cache.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "kernels/checksum.hpp"

namespace tramontane {
namespace {

constexpr const char* kHeader = "tramontane convolution engines 1";

std::string checksum_text(const std::string& line) {
  Checksum sum;
  sum.add(line.data(), line.size());
  return fmt::format("{:016x}", sum.value());
}

template <class Number>
bool parse_number(const std::string& text, Number& value) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && result.ec == std::errc() && result.ptr == text.data() + text.size();
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t end; (end = text.find(separator, begin)) != std::string::npos; begin = end + 1)
    parts.push_back(text.substr(begin, end - begin));
  parts.push_back(text.substr(begin));
  return parts;
}

/// Names come from drivers and libraries: nothing in them may end a field or a line.
std::string one_field(std::string name) {
  for (char& c : name)
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  return name;
}

}  // namespace

std::string shape_text(const ConvolutionExtents& e) {
  return fmt::format("{} images of {} x {} cells, kernel {}, dilation {}, channels {} to {} (stored {}, {})", e.images,
                     e.height, e.width, e.kernel, e.dilation, e.in_channels, e.out_channels, e.in_stride, e.out_stride);
}

std::string EngineKey::text() const {
  return one_field(fmt::format("{}{} | {} | {} | {} | {}", operation, activated ? " activated" : "",
                               shape_text(extents), type, device, library));
}

std::string to_text(const EngineChoice& choice) {
  std::string knobs;
  for (const auto& [knob, value] : choice.knobs) knobs += fmt::format("{}{}={}", knobs.empty() ? "" : ",", knob, value);
  return fmt::format("{} engine {} knobs {} us {}", choice.variant, choice.engine, knobs.empty() ? "none" : knobs,
                     choice.microseconds);
}

std::optional<EngineChoice> parse_engine_choice(const std::string& text) {
  const std::vector<std::string> words = split(text, ' ');
  EngineChoice choice;
  if (words.size() != 7 || words[0].empty() || words[1] != "engine" || words[3] != "knobs" || words[5] != "us" ||
      !parse_number(words[2], choice.engine) || choice.engine < 0 || !parse_number(words[6], choice.microseconds) ||
      !(choice.microseconds >= 0))
    return std::nullopt;
  choice.variant = words[0];
  if (words[4] == "none") return choice;
  for (const std::string& pair : split(words[4], ',')) {
    const std::size_t equals = pair.find('=');
    std::int64_t knob = 0, value = 0;
    if (equals == std::string::npos || !parse_number(pair.substr(0, equals), knob) ||
        !parse_number(pair.substr(equals + 1), value) || !choice.knobs.emplace(knob, value).second)
      return std::nullopt;
  }
  return choice;
}

EngineCache::EngineCache(std::string path) : path_(std::move(path)) {
  if (!path_.empty()) read(false);
}

const EngineChoice* EngineCache::find(const EngineKey& key) const {
  const auto found = choices_.find(key.text());
  return found == choices_.end() ? nullptr : &found->second;
}

void EngineCache::insert(const EngineKey& key, EngineChoice choice) {
  choices_[key.text()] = std::move(choice);
  changed_ = true;
}

std::string EngineCache::take_problem() {
  return std::exchange(problem_, std::string());
}

void EngineCache::read(bool keep_own) {
  std::ifstream file(path_);
  if (!file) return;  // the first run on this machine
  std::string line;
  if (!std::getline(file, line) || line != kHeader) {
    problem_ = fmt::format("{} is not a file of this version and is ignored: convolutions are measured again", path_);
    return;
  }
  int lines = 0, damaged = 0;
  for (; std::getline(file, line); ++lines) {
    const std::size_t tab = line.find('\t'), second = line.find('\t', tab + 1);
    const std::string rest = tab == std::string::npos ? "" : line.substr(tab + 1);
    std::optional<EngineChoice> choice;
    if (tab != std::string::npos && second != std::string::npos && line.substr(0, tab) == checksum_text(rest))
      choice = parse_engine_choice(line.substr(second + 1));
    if (!choice) {
      ++damaged;
      continue;
    }
    const std::string key = line.substr(tab + 1, second - tab - 1);
    if (keep_own)
      choices_.emplace(key, std::move(*choice));
    else
      choices_[key] = std::move(*choice);
  }
  if (damaged > 0)
    problem_ = fmt::format("{} of {} lines of {} are damaged and ignored: those convolutions are measured again",
                           damaged, lines, path_);
}

void EngineCache::save() {
  if (!changed_ || path_.empty()) return;
  changed_ = false;
  read(true);
  namespace fs = std::filesystem;
  std::error_code error;
  if (const fs::path folder = fs::path(path_).parent_path(); !folder.empty()) fs::create_directories(folder, error);
  std::ostringstream text;
  text << kHeader << '\n';
  for (const auto& [key, choice] : choices_) {
    const std::string line = key + '\t' + to_text(choice);
    text << checksum_text(line) << '\t' << line << '\n';
  }
  const std::string all = text.str();
  // The name is this process's own on every machine that shares the folder.
  std::string aside = path_ + ".XXXXXX";
  const int descriptor = mkstemp(aside.data());
  std::size_t written = 0;
  while (descriptor >= 0 && written < all.size()) {
    const ssize_t count = ::write(descriptor, all.data() + written, all.size() - written);
    if (count < 0) break;
    written += static_cast<std::size_t>(count);
  }
  const bool whole = descriptor >= 0 && written == all.size();
  const bool closed = descriptor >= 0 && ::close(descriptor) == 0;
  if (whole && closed && std::rename(aside.c_str(), path_.c_str()) == 0) return;
  problem_ = fmt::format("{} could not be written ({}): convolutions will be measured again next time", path_,
                         std::strerror(errno));
  if (descriptor >= 0) std::remove(aside.c_str());
}

std::string cache_path(const std::string& file) {
  const auto in = [&](const char* variable, const char* below) {
    const char* value = std::getenv(variable);
    return value == nullptr || *value == '\0' ? std::string() : std::string(value) + below + "/" + file;
  };
  for (const std::string& path :
       {in("TRAMONTANE_CACHE", ""), in("XDG_CACHE_HOME", "/tramontane"), in("HOME", "/.cache/tramontane")})
    if (!path.empty()) return path;
  return "";
}

}  // namespace tramontane
