#include "src/deck/deck.hpp"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <fstream>
#include <set>
#include <sstream>

#include "kernels/errors.hpp"
#include "src/deck/keys.hpp"

namespace tramontane {
namespace {

/// What a node holds, for messages.
std::string shown(const YAML::Node& node) {
  if (node.IsScalar()) return fmt::format("'{}'", node.Scalar());
  if (node.IsNull()) return "nothing";
  YAML::Emitter out;
  out << YAML::Flow << node;
  return fmt::format("'{}'", out.c_str());
}

/// Stores what YAML nodes say into a deck; knows where they come from.
class Reader {
 public:
  Reader(Deck& deck, std::string source, bool has_lines)
      : deck_(deck), source_(std::move(source)), has_lines_(has_lines) {}

  /// Takes all keys of a map whose own name is `section` ("" for the whole deck).
  void take_map(const std::string& section, const YAML::Node& map) {
    std::set<std::string> seen;
    for (const auto& entry : map) {
      const std::string place = at(entry.first);
      if (!entry.first.IsScalar()) throw InputError(fmt::format("{}: a key must be a plain word", place));
      const std::string name = section.empty() ? entry.first.Scalar() : section + "." + entry.first.Scalar();
      if (!seen.insert(name).second)
        throw InputError(fmt::format("{}: key '{}' stands here a second time; keep one of them", place, name));
      take(name, entry.second, place);
    }
  }

  /// Takes one key or one whole section.
  void take(const std::string& name, const YAML::Node& node, const std::string& place) {
    if (const Key* key = find_key(name)) {
      if (!key->set(deck_, node)) {
        const std::string unit = key->unit.empty() ? "" : fmt::format(" [{}]", key->unit);
        throw InputError(fmt::format("{}: {} expects {}{}, found {}", place, name, key->expects, unit, shown(node)));
      }
      deck_.origin[name] = place;
    } else if (is_section(name)) {
      if (node.IsNull()) return;
      if (!node.IsMap())
        throw InputError(fmt::format("{}: '{}' is a section and holds keys, found {}", place, name, shown(node)));
      take_map(name, node);
    } else {
      throw InputError(fmt::format("{}: unknown key '{}'; did you mean '{}'?", place, name, nearest_key(name)));
    }
  }

  std::string at(const YAML::Node& node) const {
    return has_lines_ ? fmt::format("{}:{}", source_, node.Mark().line + 1) : source_;
  }

 private:
  Deck& deck_;
  std::string source_;
  bool has_lines_;
};

YAML::Node load_yaml(const std::string& text, const std::string& source, bool has_lines) {
  try {
    return YAML::Load(text);
  } catch (const YAML::Exception& error) {
    const std::string place = has_lines ? fmt::format("{}:{}", source, error.mark.line + 1) : source;
    throw InputError(fmt::format("{}: this is not valid YAML ({})", place, error.msg));
  }
}

}  // namespace

std::string Deck::where(const std::string& key) const {
  const auto found = origin.find(key);
  return found == origin.end() ? "" : found->second + ": ";
}

std::vector<Month> Deck::teach_months() const {
  return teach.months.empty() ? std::vector<Month>{initial.month} : teach.months;
}

std::optional<double> Deck::checkpoint_every() const {
  if (!checkpoint.every) return surrogate.kind == SurrogateKind::none ? std::optional<double>(86400) : std::nullopt;
  return *checkpoint.every > 0 ? checkpoint.every : std::nullopt;
}

bool Deck::takes_snapshots() const {
  return checkpoint_every() || checkpoint.minutes || checkpoint.resume != "none";
}

Deck parse_deck(const std::string& text, const std::string& file, const std::vector<std::string>& overrides) {
  Deck deck;
  deck.file = file;
  const YAML::Node root = load_yaml(text, file, true);
  if (root.IsDefined() && !root.IsNull()) {
    if (!root.IsMap()) throw InputError(file + ":1: a deck is a map of sections such as 'grid: {n: 48}'");
    Reader(deck, file, true).take_map("", root);
  }
  for (const std::string& text_of_override : overrides) {
    const auto equals = text_of_override.find('=');
    if (equals == std::string::npos || equals == 0)
      throw InputError(fmt::format("--set: '{}' is not key=value, for example grid.n=48", text_of_override));
    const YAML::Node value = load_yaml(text_of_override.substr(equals + 1), "--set", false);
    Reader(deck, "--set", false).take(text_of_override.substr(0, equals), value, "--set");
  }
  return deck;
}

std::string read_text_file(const std::string& file) {
  std::ifstream in(file);
  std::ostringstream text;
  if (in && in.peek() != std::ifstream::traits_type::eof()) text << in.rdbuf();
  if (!in.is_open() || in.bad() || text.bad())
    throw InputError(fmt::format("cannot read the file '{}': check the path", file));
  return text.str();
}

Deck read_deck(const std::string& file, const std::vector<std::string>& overrides) {
  return parse_deck(read_text_file(file), file, overrides);
}

std::string dump_deck(const Deck& deck) {
  std::string out;
  std::vector<std::string> open;  // sections that the last line stands in
  for (const Key& key : deck_keys()) {
    std::vector<std::string> parts;
    std::istringstream in(key.name);
    for (std::string part; std::getline(in, part, '.');) parts.push_back(part);
    const std::string leaf = parts.back();
    parts.pop_back();
    std::size_t common = 0;
    while (common < std::min(open.size(), parts.size()) && open[common] == parts[common]) ++common;
    for (std::size_t depth = common; depth < parts.size(); ++depth)
      out += fmt::format("{:{}}{}:\n", "", 2 * depth, parts[depth]);
    open = parts;
    const std::string line = fmt::format("{:{}}{}: {}", "", 2 * parts.size(), leaf, key.get(deck));
    const std::string unit = key.unit.empty() ? "" : fmt::format(" [{}]", key.unit);
    out += fmt::format("{:<44}  # {}{}; {}\n", line, key.description, unit, key.expects);
  }
  return out;
}

}  // namespace tramontane
