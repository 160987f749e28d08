#include "src/deck/keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "ml/networks/network_kind.hpp"
#include "ml/training_pass.hpp"
#include "physics/integrators/time_integrator.hpp"
#include "src/deck/duration.hpp"

namespace tramontane {
namespace {

// Text to value, one function a type; false when the text is not of the type.

template <class Number>
bool read_number(const std::string& text, Number& value) {
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (result.ec != std::errc() || result.ptr != end) return false;
  if constexpr (std::is_floating_point_v<Number>) return std::isfinite(value);
  return true;
}

bool read_value(const std::string& text, int& value) {
  return read_number(text, value);
}
bool read_value(const std::string& text, std::int64_t& value) {
  return read_number(text, value);
}
bool read_value(const std::string& text, double& value) {
  return read_number(text, value);
}
bool read_value(const std::string& text, std::string& value) {
  value = text;
  return !text.empty();
}
bool read_value(const std::string& text, bool& value) {
  value = text == "true";
  return text == "true" || text == "false";
}
bool read_value(const std::string& text, Month& value) {
  const auto month = parse_month(text);
  if (month) value = *month;
  return month.has_value();
}

/// Text as a YAML scalar, quoted where a plain one would be read as something else.
std::string yaml_text(const std::string& text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '.' || c == '/' || c == '-' || c == '+';
  }) && text.front() != '-';
  return plain ? text : nlohmann::json(text).dump();
}

std::string write_value(bool value) {
  return value ? "true" : "false";
}
std::string write_value(const std::string& value) {
  return yaml_text(value);
}
std::string write_value(const Month& value) {
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

template <class Enum>
const char* enum_name(Enum value) {
  for (const auto& [name, member] : Names<Enum>::list)
    if (member == value) return name;
  return "?";
}

std::string one_of(const std::vector<std::string>& names) {
  return "one of " + fmt::format("{}", fmt::join(names, ", "));
}

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
Range any() {
  return {};
}
Range at_least(double low) {
  return {low};
}
Range above(double low) {
  return {low, std::numeric_limits<double>::infinity(), true};
}
Range within(double low, double high) {
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

#define AT(member)           \
  [](Deck & deck) -> auto& { \
    return deck.member;      \
  }

std::vector<Key> make_keys() {
  const std::string months = "a list of months YYYY-MM";
  return {
      number("grid.n", "cells", at_least(1), AT(grid.n), "cells along a panel edge of the fine grid (C-number)"),
      number("grid.tiles_per_edge", "tiles", at_least(1), AT(grid.tiles_per_edge),
             "tiles along a panel edge; 6 tiles_per_edge^2 tiles are dealt to the solver ranks"),

      one_from("physics.model", {"shallow_water"}, AT(physics.model), "equations of the solver"),
      one_from("physics.integrator", integrator_names(), AT(physics.integrator),
               "time integrator (docs/design/time-integration.md)"),
      one_from("physics.reconstruction", {"3", "5", "7"}, AT(physics.reconstruction), "order of the reconstruction in a row"),
      one_from("physics.riemann", {"lmars"}, AT(physics.riemann), "numerical flux (Chen et al. 2013)"),
      number("physics.viscosity", "m2 s-1", at_least(0), AT(physics.viscosity),
             "Laplacian diffusion of velocity and height (Galewsky et al. 2004 take 1e5)"),

      one_from("physics.helmholtz.solver", {"chebyshev", "fgmres", "gmres", "bcgs"}, AT(physics.helmholtz.solver),
               "PETSc's method for the Helmholtz problem of semi_implicit; the same bits on any ranks: chebyshev"),
      one_from("physics.helmholtz.preconditioner", {"none", "gamg", "hypre", "bjacobi", "jacobi"},
               AT(physics.helmholtz.preconditioner), "PETSc's preconditioner there; chebyshev takes none"),
      number("physics.helmholtz.tolerance", "", within(1e-12, 0.1), AT(physics.helmholtz.tolerance),
             "factor by which the residual of the first guess shrinks"),
      number("physics.helmholtz.iterations", "", at_least(1), AT(physics.helmholtz.iterations),
             "most iterations of one Helmholtz problem"),
      value("physics.helmholtz.petsc_options", "none or PETSc options in quotes", AT(physics.helmholtz.petsc_options),
            "handed to PETSc, for instance \"-ksp_monitor\""),

      choice("initial.case", AT(initial.kind), "initial state"),
      value("initial.month", "a month YYYY-MM", AT(initial.month), "month of the winds (case winds)"),
      number("initial.alpha_deg", "degrees", within(-360, 360), AT(initial.alpha_deg),
             "angle between the planet's axis and the grid's pole (all cases but winds, rest)"),
      value("initial.perturbed", "true or false", AT(initial.perturbed),
            "a bump in the height sets the instability off (case galewsky); false: exact and steady"),
      choice("initial.relief", AT(initial.relief),
             "ground under the fluid (case rest): that of data.relief, or random heights up to 3000 m in every cell"),
      number("initial.seed", "", any(), AT(initial.seed), "seed of the random relief (case rest)"),
      number("initial.mean_depth", "m", above(0), AT(initial.mean_depth),
             "mean depth of the fluid (cases winds, rest)"),
      number("initial.layer_factor", "", above(0), AT(initial.layer_factor),
             "wind of the layer over wind at the surface, equivalent-barotropic (case winds)"),
      number("initial.smoothing", "passes", at_least(0), AT(initial.smoothing),
             "passes of smoothing of the relief: one halves waves of two cells (cases winds, rest)"),

      choice("tracer.limiter", AT(tracer.limiter),
             "bounds of a case's tracer: none, global (its own least and largest value), local (the neighbours' too)"),

      value("data.winds", "a path", AT(data.winds), "classic netCDF with monthly UWND, VWND"),
      value("data.relief", "a path", AT(data.relief), "classic netCDF with the relief ROSE"),

      number("time.days", "d", above(0), AT(time.days), "length of a solver-only run"),
      number_or_auto("time.cfl", "", above(0), AT(time.cfl),
                     "Courant number from which the time step comes; auto: the integrator's own (0.8 for ssprk3)"),
      number_or_auto("time.dt", "s", above(0), AT(time.dt), "time step; auto: from the Courant number"),

      number_or_auto("ranks.solver", "ranks", at_least(1), AT(ranks.solver), "ranks that integrate"),
      number_or_auto("ranks.learner", "ranks", at_least(0), AT(ranks.learner), "ranks that train"),

      list("teach.months", months, AT(teach.months), "start months to teach from; empty: initial.month"),
      list("teach.validation", months, AT(teach.validation), "start months streamed but never trained on"),
      number("teach.days", "d", above(0), AT(teach.days), "length of each teaching integration"),

      duration("stream.every", above(0), AT(stream.every), "model time between samples"),
      number("stream.queue", "frames", at_least(1), AT(stream.queue), "frames a solver rank may have under way"),
      choice("stream.when_full", AT(stream.when_full), "what happens to a frame when the queue is full"),
      path_or_none("stream.archive", AT(stream.archive), "HDF5 archive that keeps every sample"),
      duration("stream.deadline", above(0), AT(stream.deadline), "longest wait for another rank before the run fails"),

      choice("surrogate.kind", AT(surrogate.kind), "what the network gives to the coarse solver"),
      choice("surrogate.backend", AT(surrogate.backend), "library that runs the network"),
      number("surrogate.coarse_n", "cells", at_least(1), AT(surrogate.coarse_n),
             "cells along a panel edge of the coarse grid; divides grid.n"),
      duration("surrogate.interval", above(0), AT(surrogate.interval),
               "coupling interval over which a correction holds"),
      path_or_none("surrogate.model", AT(surrogate.model), "saved model to forecast with, .h5 or .onnx (tramontane forecast)"),
      one_from("surrogate.network.type", network_names(), AT(surrogate.network.type),
               "architecture (docs/design/networks.md)"),
      number("surrogate.network.width", "channels", at_least(1), AT(surrogate.network.width),
             "channels of the first level, or of every layer"),
      number("surrogate.network.levels", "", within(1, 8), AT(surrogate.network.levels),
             "resolutions, each half the one above (unet); hidden layers (mlp)"),
      number("surrogate.network.blocks", "", within(1, 64), AT(surrogate.network.blocks),
             "residual blocks (convnext)"),
      list("surrogate.network.dilations", "a list of whole numbers, at least 1", AT(surrogate.network.dilations),
           "cells between the taps of the blocks' kernels, in turn (convnext)"),
      number("surrogate.network.expansion", "", within(1, 8), AT(surrogate.network.expansion),
             "channels inside a block over width (convnext)"),
      one_from("surrogate.network.norm", {"none", "layer", "group"}, AT(surrogate.network.norm),
               "normalisation of each cell over its channels, all together or in groups"),
      number("surrogate.network.groups", "", at_least(1), AT(surrogate.network.groups),
             "groups of channels with surrogate.network.norm = group"),
      one_from("surrogate.network.kernels", {"shared", "polar"}, AT(surrogate.network.kernels),
               "one kernel for all panels, or another for the two at the poles (Weyn et al. 2020)"),

      list("learner.archives", "a list of paths", AT(learner.archives),
           "archives to train from (tramontane train); a path may be a pattern with * ? [ ], in quotes"),
      choice("learner.bad_samples", AT(learner.bad_samples),
             "what becomes of an archive's samples that are damaged or hold NaN (train)"),
      choice("learner.unfinished", AT(learner.unfinished),
             "an archive that is cut off or still being written: refuse it, or read its whole samples (train)"),
      list("learner.validation", "archive, a share between 0 and 1, or a list of months YYYY-MM",
           AT(learner.validation),
           "start months held out (train): as the archives mark them, a share of the months, or those named"),
      choice("learner.order", AT(learner.order),
             "order of samples: as they would be streamed, or by epochs, each in a new order from the seed (train)"),
      number("learner.read_ahead", "samples", at_least(1), AT(learner.read_ahead),
             "samples of a rank read before they are needed (order shuffled)"),
      number("learner.batch", "samples", at_least(1), AT(learner.batch), "samples a step, over all learner ranks"),
      number("learner.steps", "steps", at_least(1), AT(learner.steps), "optimiser steps"),
      number("learner.epochs", "epochs", at_least(0), AT(learner.epochs),
             "passes over the samples, instead of learner.steps; 0: learner.steps counts (order shuffled)"),
      number("learner.learning_rate", "", above(0), AT(learner.learning_rate),
             "peak rate of AdamW; linear warm-up, then cosine (Loshchilov and Hutter 2019)"),
      number("learner.weight_decay", "", at_least(0), AT(learner.weight_decay), "decoupled weight decay of AdamW"),
      number("learner.warmup", "steps", at_least(0), AT(learner.warmup), "steps of linear warm-up"),
      number("learner.clip", "", above(0), AT(learner.clip), "largest norm of the gradient over all weights"),
      number("learner.ema", "", within(0, 0.99999), AT(learner.ema), "decay a step of the averaged weights"),
      number("learner.reservoir", "samples", at_least(1), AT(learner.reservoir), "samples kept to draw batches from"),
      number("learner.watermark", "samples", at_least(1), AT(learner.watermark),
             "samples there must be before training starts"),
      number("learner.validate_every", "steps", at_least(1), AT(learner.validate_every), "steps between validations"),
      number("learner.patience", "validations", at_least(0), AT(learner.patience),
             "training ends after so many without a new best; 0: it does not (order shuffled)"),
      or_none(
          [](auto at) {
            return number("learner.checkpoint_minutes", "min", above(0), at,
                          "wall clock between checkpoints of train; one is left at the end and by a signal in any case");
          },
          AT(learner.checkpoint_minutes)),
      one_from("learner.resume", {"none", "auto"}, AT(learner.resume),
               "auto: train goes on from the newest checkpoint of output.dir, if there is one"),
      one_from("learner.precision", training_precisions(), AT(learner.precision),
               "arithmetic of the network: bf16 stores activations in 16 bits where the processor has them, tf32 is cuDNN's"),
      number("learner.seed", "", any(), AT(learner.seed), "seed of the weights and of the batches"),
      value("learner.deterministic", "true or false", AT(learner.deterministic),
            "train in an order that does not depend on timing"),
      value("learner.model", "a file name", AT(learner.model), "name of the saved model inside output.dir"),

      list("forecast.starts", months, AT(forecast.starts), "start months of the verified forecasts"),
      number("forecast.days", "d", above(0), AT(forecast.days), "length of each forecast"),
      number("forecast.members", "", at_least(1), AT(forecast.members), "members of each forecast"),

      value("output.dir", "a path", AT(output.dir), "folder for everything the run writes"),
      duration("output.every", above(0), AT(output.every), "model time between output fields"),
      number("output.latlon", "degrees", within(0, 90), AT(output.latlon),
             "spacing of the longitude-latitude copy of a solver run; 0: none"),
      value("output.plots", "true or false", AT(output.plots), "make plots and report.html at the end"),
      value("output.onnx", "true or false", AT(output.onnx), "write the trained model as ONNX, too, beside learner.model"),

      or_none(
          [](auto at) {
            return duration("checkpoint.every", above(0), at, "model time between checkpoints of a solver-only run");
          },
          AT(checkpoint.every)),
      or_none(
          [](auto at) {
            return number("checkpoint.minutes", "min", above(0), at,
                          "wall clock between checkpoints of a solver-only run");
          },
          AT(checkpoint.minutes)),
      number("checkpoint.keep", "files", at_least(1), AT(checkpoint.keep),
             "checkpoints kept in output.dir/checkpoints; older ones are removed"),
      value("checkpoint.resume", "none, auto or a path", AT(checkpoint.resume),
            "continue a solver-only run: auto takes the newest checkpoint of output.dir, if there is one"),
  };
}

#undef AT

std::string last_part(const std::string& name) {
  return name.substr(name.rfind('.') + 1);
}

/// Restricted Damerau-Levenshtein distance: insertions, deletions, changes and swaps of neighbours.
int edit_distance(const std::string& a, const std::string& b) {
  const int rows = static_cast<int>(a.size()) + 1, columns = static_cast<int>(b.size()) + 1;
  std::vector<std::vector<int>> d(rows, std::vector<int>(columns));
  for (int i = 0; i < rows; ++i) d[i][0] = i;
  for (int j = 0; j < columns; ++j) d[0][j] = j;
  for (int i = 1; i < rows; ++i)
    for (int j = 1; j < columns; ++j) {
      const int change = a[i - 1] == b[j - 1] ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[rows - 1][columns - 1];
}

std::vector<std::string> section_names() {
  std::vector<std::string> names;
  for (const Key& key : deck_keys())
    for (auto dot = key.name.find('.'); dot != std::string::npos; dot = key.name.find('.', dot + 1)) {
      const std::string section = key.name.substr(0, dot);
      if (std::find(names.begin(), names.end(), section) == names.end()) names.push_back(section);
    }
  return names;
}

}  // namespace

const std::vector<Key>& deck_keys() {
  static const std::vector<Key> keys = make_keys();
  return keys;
}

const Key* find_key(const std::string& name) {
  for (const Key& key : deck_keys())
    if (key.name == name) return &key;
  return nullptr;
}

bool is_section(const std::string& name) {
  for (const Key& key : deck_keys())
    if (key.name.starts_with(name + ".")) return true;
  return false;
}

std::string nearest_key(const std::string& name) {
  std::vector<std::string> candidates = section_names();
  for (const Key& key : deck_keys()) candidates.push_back(key.name);
  std::string best;
  int best_distance = std::numeric_limits<int>::max();
  for (const std::string& candidate : candidates) {
    // A key put into the wrong section, or into none, counts as one slip.
    const int moved = last_part(candidate) == last_part(name) ? 1 : std::numeric_limits<int>::max();
    const int distance = std::min(moved, edit_distance(name, candidate));
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

const char* name_of(InitialCase value) {
  return enum_name(value);
}
const char* name_of(Relief value) {
  return enum_name(value);
}
const char* name_of(TracerLimiter value) {
  return enum_name(value);
}
const char* name_of(WhenFull value) {
  return enum_name(value);
}
const char* name_of(SurrogateKind value) {
  return enum_name(value);
}
const char* name_of(SurrogateBackend value) {
  return enum_name(value);
}
const char* name_of(SampleOrder value) {
  return enum_name(value);
}
const char* name_of(BadSamples value) {
  return enum_name(value);
}
const char* name_of(UnfinishedArchives value) {
  return enum_name(value);
}

}  // namespace tramontane
