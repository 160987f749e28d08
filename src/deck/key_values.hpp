/// Values of deck keys as text: reading and writing, one function a type, and the names of enumerations.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "src/deck/deck.hpp"

namespace tramontane {

// Text to value, one function a type; false when the text is not of the type.

template <class Number>
bool read_number(const std::string& text, Number& value) {
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (result.ec != std::errc() || result.ptr != end) return false;
  if constexpr (std::is_floating_point_v<Number>) return std::isfinite(value);
  return true;
}

inline bool read_value(const std::string& text, int& value) {
  return read_number(text, value);
}
inline bool read_value(const std::string& text, std::int64_t& value) {
  return read_number(text, value);
}
inline bool read_value(const std::string& text, double& value) {
  return read_number(text, value);
}
inline bool read_value(const std::string& text, std::string& value) {
  value = text;
  return !text.empty();
}
inline bool read_value(const std::string& text, bool& value) {
  value = text == "true";
  return text == "true" || text == "false";
}
inline bool read_value(const std::string& text, Month& value) {
  const auto month = parse_month(text);
  if (month) value = *month;
  return month.has_value();
}

/// Text as a YAML scalar, quoted where a plain one would be read as something else.
inline std::string yaml_text(const std::string& text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '.' || c == '/' || c == '-' || c == '+';
  }) && text.front() != '-';
  return plain ? text : nlohmann::json(text).dump();
}

inline std::string write_value(bool value) {
  return value ? "true" : "false";
}
inline std::string write_value(const std::string& value) {
  return yaml_text(value);
}
inline std::string write_value(const Month& value) {
  return value.text();
}
template <class Number>
requires std::is_arithmetic_v<Number> std::string write_value(Number value) {
  return fmt::format("{}", value);
}

template <class Enum>
struct Names;
template <>
struct Names<InitialCase> {
  static constexpr std::pair<const char*, InitialCase> list[] = {{"williamson1", InitialCase::williamson1},
                                                                 {"williamson2", InitialCase::williamson2},
                                                                 {"williamson5", InitialCase::williamson5},
                                                                 {"williamson6", InitialCase::williamson6},
                                                                 {"galewsky", InitialCase::galewsky},
                                                                 {"lauter", InitialCase::lauter},
                                                                 {"rest", InitialCase::rest},
                                                                 {"winds", InitialCase::winds}};
};
template <>
struct Names<Relief> {
  static constexpr std::pair<const char*, Relief> list[] = {{"etopo", Relief::etopo}, {"random", Relief::random}};
};
template <>
struct Names<TracerLimiter> {
  static constexpr std::pair<const char*, TracerLimiter> list[] = {
      {"none", TracerLimiter::none}, {"global", TracerLimiter::global}, {"local", TracerLimiter::local}};
};
template <>
struct Names<WhenFull> {
  static constexpr std::pair<const char*, WhenFull> list[] = {
      {"block", WhenFull::block}, {"drop_oldest", WhenFull::drop_oldest}, {"drop_newest", WhenFull::drop_newest}};
};
template <>
struct Names<SurrogateKind> {
  static constexpr std::pair<const char*, SurrogateKind> list[] = {
      {"correction", SurrogateKind::correction}, {"emulator", SurrogateKind::emulator}, {"none", SurrogateKind::none}};
};
template <>
struct Names<SurrogateBackend> {
  static constexpr std::pair<const char*, SurrogateBackend> list[] = {{"onednn", SurrogateBackend::onednn},
                                                                      {"cudnn", SurrogateBackend::cudnn},
                                                                      {"reference", SurrogateBackend::reference},
                                                                      {"stub", SurrogateBackend::stub}};
};
template <>
struct Names<SampleOrder> {
  static constexpr std::pair<const char*, SampleOrder> list[] = {{"stream", SampleOrder::stream},
                                                                 {"shuffled", SampleOrder::shuffled}};
};
template <>
struct Names<BadSamples> {
  static constexpr std::pair<const char*, BadSamples> list[] = {{"refuse", BadSamples::refuse},
                                                                {"skip", BadSamples::skip}};
};
template <>
struct Names<UnfinishedArchives> {
  static constexpr std::pair<const char*, UnfinishedArchives> list[] = {{"refuse", UnfinishedArchives::refuse},
                                                                        {"read", UnfinishedArchives::read}};
};
template <>
struct Names<RankPlacement> {
  static constexpr std::pair<const char*, RankPlacement> list[] = {{"auto", RankPlacement::automatic},
                                                                   {"packed", RankPlacement::packed},
                                                                   {"spread", RankPlacement::spread}};
};

template <>
struct Names<WhenLost> {
  static constexpr std::pair<const char*, WhenLost> list[] = {{"go_on", WhenLost::go_on}, {"stop", WhenLost::stop}};
};

template <class Enum>
const char* enum_name(Enum value) {
  for (const auto& [name, member] : Names<Enum>::list)
    if (member == value) return name;
  return "?";
}

inline std::string one_of(const std::vector<std::string>& names) {
  return "one of " + fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace tramontane
