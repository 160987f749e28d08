/// Makers of the deck table's rows, one a sort of value.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "src/deck/duration.hpp"
#include "src/deck/key_values.hpp"
#include "src/deck/keys.hpp"

namespace tramontane {

struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool open_low = false;  ///< the lower end itself is refused
  bool holds(double v) const { return (open_low ? v > low : v >= low) && v <= high; }
  std::string text() const {
    std::string out;
    if (std::isfinite(low)) out += fmt::format(", {} {}", open_low ? "more than" : "at least", low);
    if (std::isfinite(high)) out += fmt::format("{} at most {}", out.empty() ? "," : " and", high);
    return out;
  }
};
inline Range any() {
  return {};
}
inline Range at_least(double low) {
  return {low};
}
inline Range above(double low) {
  return {low, std::numeric_limits<double>::infinity(), true};
}
inline Range within(double low, double high) {
  return {low, high};
}

// Makers of table rows. `at` is a function from a deck to the member that the key sets.

template <class Access>
using Member = std::remove_reference_t<std::invoke_result_t<Access, Deck&>>;

template <class Access>
auto getter(Access at) {
  return [at](const Deck& deck) { return write_value(at(const_cast<Deck&>(deck))); };
}

template <class Access>
Key number(std::string name, std::string unit, Range range, Access at, std::string description) {
  using Value = Member<Access>;
  auto set = [at, range](Deck& deck, const YAML::Node& node) {
    Value value{};
    if (!node.IsScalar() || !read_value(node.Scalar(), value) || !range.holds(static_cast<double>(value))) return false;
    at(deck) = value;
    return true;
  };
  const std::string kind = std::is_integral_v<Value> ? "a whole number" : "a number";
  return {name, unit, description, kind + range.text(), set, getter(at)};
}

/// A number, or a word that leaves the choice to the program.
template <class Access>
Key number_or_auto(std::string name, std::string unit, Range range, Access at, std::string description) {
  using Value = typename Member<Access>::value_type;
  auto set = [at, range](Deck& deck, const YAML::Node& node) {
    if (!node.IsScalar()) return false;
    if (node.Scalar() == "auto") {
      at(deck).reset();
      return true;
    }
    Value value{};
    if (!read_value(node.Scalar(), value) || !range.holds(static_cast<double>(value))) return false;
    at(deck) = value;
    return true;
  };
  auto get = [at](const Deck& deck) {
    const auto& value = at(const_cast<Deck&>(deck));
    return value ? write_value(*value) : std::string("auto");
  };
  const std::string kind = std::is_integral_v<Value> ? "auto or a whole number" : "auto or a number";
  return {name, unit, description, kind + range.text(), set, get};
}

template <class Access>
Key duration(std::string name, Range range, Access at, std::string description) {
  auto set = [at, range](Deck& deck, const YAML::Node& node) {
    if (!node.IsScalar()) return false;
    const auto seconds = parse_duration(node.Scalar());
    if (!seconds || !range.holds(*seconds)) return false;
    at(deck) = *seconds;
    return true;
  };
  auto get = [at](const Deck& deck) { return duration_text(at(const_cast<Deck&>(deck))); };
  return {name, "s, min, h, d", description, "a length of time such as 90s, 30min, 1h or 2d" + range.text(), set, get};
}

/// A value of type bool, std::string or Month.
template <class Access>
Key value(std::string name, std::string expects, Access at, std::string description) {
  auto set = [at](Deck& deck, const YAML::Node& node) {
    Member<Access> read{};
    if (!node.IsScalar() || !read_value(node.Scalar(), read)) return false;
    at(deck) = read;
    return true;
  };
  return {name, "", description, expects, set, getter(at)};
}

/// A path, or none.
template <class Access>
Key path_or_none(std::string name, Access at, std::string description) {
  auto set = [at](Deck& deck, const YAML::Node& node) {
    if (!node.IsScalar() || node.Scalar().empty()) return false;
    if (node.Scalar() == "none")
      at(deck).reset();
    else
      at(deck) = node.Scalar();
    return true;
  };
  auto get = [at](const Deck& deck) {
    const auto& path = at(const_cast<Deck&>(deck));
    return path ? yaml_text(*path) : std::string("none");
  };
  return {name, "", description, "a path, or none", set, get};
}

/// Another row whose value is optional: the word none leaves it empty, anything else is read by `row`, made for a plain
/// value of the same type.
template <class Access, class Row>
Key or_none(const Row& row, Access at) {
  Key key = row([at](Deck & deck) -> auto& { return *at(deck); });
  auto set = [at, plain = key.set](Deck& deck, const YAML::Node& node) {
    const auto before = at(deck);
    if (node.IsScalar() && node.Scalar() == "none") {
      at(deck).reset();
      return true;
    }
    at(deck).emplace();
    if (plain(deck, node)) return true;
    at(deck) = before;
    return false;
  };
  auto get = [at, plain = key.get](const Deck& deck) {
    return at(const_cast<Deck&>(deck)) ? plain(deck) : std::string("none");
  };
  return {key.name, key.unit, key.description, "none or " + key.expects, set, get};
}

/// A list of months or of texts; one element may stand without brackets.
template <class Access>
Key list(std::string name, std::string expects, Access at, std::string description) {
  auto set = [at](Deck& deck, const YAML::Node& node) {
    Member<Access> values;
    auto add = [&](const YAML::Node& element) {
      typename Member<Access>::value_type value{};
      if (!element.IsScalar() || !read_value(element.Scalar(), value)) return false;
      values.push_back(value);
      return true;
    };
    if (node.IsSequence()) {
      for (const auto& element : node)
        if (!add(element)) return false;
    } else if (!add(node)) {
      return false;
    }
    at(deck) = values;
    return true;
  };
  auto get = [at](const Deck& deck) {
    std::vector<std::string> texts;
    for (const auto& value : at(const_cast<Deck&>(deck))) texts.push_back(write_value(value));
    return fmt::format("[{}]", fmt::join(texts, ", "));
  };
  return {name, "", description, expects, set, get};
}

/// One of the names of an enumeration.
template <class Access>
Key choice(std::string name, Access at, std::string description) {
  using Enum = Member<Access>;
  std::vector<std::string> names;
  for (const auto& [text, member] : Names<Enum>::list) names.push_back(text);
  auto set = [at](Deck& deck, const YAML::Node& node) {
    if (!node.IsScalar()) return false;
    for (const auto& [text, member] : Names<Enum>::list)
      if (node.Scalar() == text) {
        at(deck) = member;
        return true;
      }
    return false;
  };
  auto get = [at](const Deck& deck) { return std::string(enum_name(at(const_cast<Deck&>(deck)))); };
  return {name, "", description, one_of(names), set, get};
}

/// One of a fixed list of values that are kept as they are written.
template <class Access>
Key one_from(std::string name, std::vector<std::string> values, Access at, std::string description) {
  auto set = [at, values](Deck& deck, const YAML::Node& node) {
    if (!node.IsScalar() || std::find(values.begin(), values.end(), node.Scalar()) == values.end()) return false;
    return read_value(node.Scalar(), at(deck));
  };
  return {name, "", description, one_of(values), set, getter(at)};
}

}  // namespace tramontane
