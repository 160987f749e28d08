#include "src/deck/checks.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "kernels/errors.hpp"
#include "ml/backend.hpp"
#include "ml/training_pass.hpp"
#include "physics/integrators/time_integrator.hpp"
#include "src/archive/held_out.hpp"
#include "src/deck/duration.hpp"
#include "src/deck/network_spec.hpp"

namespace tramontane {
namespace {

/// The smallest panel and the smallest tile edge that the solver's halo fits into, in cells.
constexpr int kLeastPanel = 8;
constexpr int kLeastTile = 4;
constexpr double kDay = 86400;

bool is_multiple(double length, double unit) {
  const double count = length / unit;
  return count > 0.5 && std::abs(count - std::round(count)) < 1e-9 * count;
}

/// Place of the first of the keys that the user set.
std::string place_of(const Deck& deck, std::initializer_list<const char*> keys) {
  for (const char* key : keys)
    if (std::string place = deck.where(key); !place.empty()) return place;
  return "";
}

void check_tiles(const Deck& deck, const char* key, int n) {
  const int tiles = deck.grid.tiles_per_edge;
  const std::string place = place_of(deck, {"grid.tiles_per_edge", key});
  if (n < kLeastPanel)
    throw InputError(fmt::format("{}{} = {} is too coarse: take at least {} cells a panel edge", deck.where(key), key,
                                 n, kLeastPanel));
  if (n % tiles != 0)
    throw InputError(
        fmt::format("{}{} = {} does not divide into grid.tiles_per_edge = {} tiles: choose a divisor of {}", place, key,
                    n, tiles, n));
  if (n / tiles < kLeastTile)
    throw InputError(
        fmt::format("{}{} = {} in grid.tiles_per_edge = {} leaves tiles of {} cells: they need at least "
                    "{} along an edge, so lower grid.tiles_per_edge",
                    place, key, n, tiles, n / tiles, kLeastTile));
}

void check_backend(const Deck& deck) {
  const std::vector<std::string> known = backend_names();
  const std::string name = name_of(deck.surrogate.backend);
  if (std::find(known.begin(), known.end(), name) == known.end())
    throw InputError(fmt::format("{}surrogate.backend = {} is not in this build of the program: choose one of {}",
                                 deck.where("surrogate.backend"), name, fmt::join(known, ", ")));
  if (deck.learner.precision == "tf32" && deck.surrogate.backend != SurrogateBackend::cudnn)
    throw InputError(fmt::format("{}learner.precision = tf32 is an arithmetic of GPUs: set surrogate.backend to cudnn, or "
                                 "learner.precision to f32",
                                 deck.where("learner.precision")));
}

void check_nesting(const Deck& deck) {
  const int n = deck.grid.n, coarse = deck.surrogate.coarse_n;
  if (coarse < n && n % coarse == 0) return;
  std::vector<int> fitting;
  for (int candidate = kLeastPanel; candidate < n; ++candidate)
    if (n % candidate == 0 && candidate % deck.grid.tiles_per_edge == 0) fitting.push_back(candidate);
  const std::string advice = fitting.empty() ? std::string("no coarser grid does, so choose another grid.n")
                                             : fmt::format("surrogate.coarse_n may be {}", fmt::join(fitting, ", "));
  throw InputError(fmt::format("{}surrogate.coarse_n = {} does not nest in grid.n = {}: {}",
                               place_of(deck, {"surrogate.coarse_n", "grid.n"}), coarse, n, advice));
}

void check_levels(const Deck& deck) {
  if (deck.surrogate.network.type != "unet") return;
  const int coarsest = 1 << (deck.surrogate.network.levels - 1);
  if (deck.surrogate.coarse_n % coarsest != 0)
    throw InputError(fmt::format(
        "{}surrogate.network.levels = {} halves the grid {} times, which surrogate.coarse_n = {} does not allow: lower "
        "the levels or choose a multiple of {}",
        place_of(deck, {"surrogate.network.levels", "surrogate.coarse_n"}), deck.surrogate.network.levels,
        deck.surrogate.network.levels - 1, deck.surrogate.coarse_n, coarsest));
}

/// No month may serve two ends: neither twice in a list nor in two lists.
void check_months(const Deck& deck, bool teaches) {
  std::map<Month, std::string> used;
  const auto add = [&](const std::string& key, const std::vector<Month>& months) {
    for (const Month& month : months) {
      const auto [entry, is_new] = used.emplace(month, key);
      if (is_new) continue;
      if (entry->second == key)
        throw InputError(fmt::format("{}{} names the month {} twice: keep one", deck.where(key), key, month.text()));
      throw InputError(fmt::format(
          "{}the month {} stands in both {} and {}: a month that is trained on can not test, so drop it from one",
          place_of(deck, {key.c_str(), entry->second.c_str()}), month.text(), entry->second, key));
    }
  };
  if (teaches) {
    add(deck.teach.months.empty() ? "initial.month" : "teach.months", deck.teach_months());
    add("teach.validation", deck.teach.validation);
  }
  add("forecast.starts", deck.forecast.starts);
}

void check_multiple(const Deck& deck, const char* key, double length, const char* unit_key, double unit) {
  if (!is_multiple(length, unit))
    throw InputError(fmt::format("{}{} = {} is not a whole multiple of {} = {}: change one of them",
                                 place_of(deck, {key, unit_key}), key, duration_text(length), unit_key,
                                 duration_text(unit)));
}

void check_teaching(const Deck& deck) {
  check_multiple(deck, "stream.every", deck.stream.every, "surrogate.interval", deck.surrogate.interval);
  check_multiple(deck, "teach.days", deck.teach.days * kDay, "stream.every", deck.stream.every);
  const double samples =
      static_cast<double>(deck.teach_months().size()) * std::floor(deck.teach.days * kDay / deck.stream.every + 1e-9);
  if (samples < deck.learner.watermark)
    throw InputError(fmt::format(
        "{}learner.watermark = {} is more than the {:.0f} samples that teach.months, teach.days and stream.every make, "
        "so training would never start: lower it or teach from more months",
        place_of(deck, {"learner.watermark", "teach.days", "stream.every", "teach.months"}), deck.learner.watermark,
        samples));
  if (deck.learner.watermark > deck.learner.reservoir)
    throw InputError(fmt::format("{}learner.watermark = {} is more than learner.reservoir = {} holds: lower it",
                                 place_of(deck, {"learner.watermark", "learner.reservoir"}), deck.learner.watermark,
                                 deck.learner.reservoir));
}

void check_training(const Deck& deck, const RankLayout& layout) {
  if (layout.learners > 0 && deck.learner.batch % layout.learners != 0)
    throw InputError(fmt::format("{}learner.batch = {} does not divide among {} learner rank(s): choose a multiple",
                                 deck.where("learner.batch"), deck.learner.batch, layout.learners));
  if (deck.learner.epochs == 0 && deck.learner.steps > 0 && deck.learner.warmup >= deck.learner.steps)
    throw InputError(fmt::format("{}learner.warmup = {} leaves nothing of learner.steps = {}: lower it",
                                 place_of(deck, {"learner.warmup", "learner.steps"}), deck.learner.warmup,
                                 deck.learner.steps));
  if (deck.learner.model.find('/') != std::string::npos)
    throw InputError(fmt::format("{}learner.model = {} must be a plain file name: the model goes into output.dir",
                                 deck.where("learner.model"), deck.learner.model));
}

/// What two jobs that meet in a folder can not do.
void check_exchange(const Deck& deck, Command command) {
  if (command == Command::train && deck.learner.order == SampleOrder::shuffled)
    throw InputError(
        fmt::format("{}learner.order = shuffled needs all samples beforehand, and with exchange.dir they are still being "
                    "made: set it to stream, or train on the finished archive with exchange.dir=none",
                    place_of(deck, {"learner.order", "exchange.dir"})));
  if (command == Command::train && !deck.learner.archives.empty())
    throw InputError(
        fmt::format("{}learner.archives names finished archives, and with exchange.dir a learner follows the run there: "
                    "leave one of them out",
                    place_of(deck, {"learner.archives", "exchange.dir"})));
}

/// The fine-tuning with rollouts.
void check_rollout(const Deck& deck, Command command) {
  const LearnerDeck& learner = deck.learner;
  if (learner.steps == 0 && learner.epochs == 0 && (learner.rollout.empty() || command != Command::train))
    throw InputError(deck.where("learner.steps") +
                     "learner.steps = 0 leaves nothing to train: give a number of steps, or stages of learner.rollout to "
                     "tramontane train");
  if (learner.rollout.empty()) return;
  const std::string stages =
      fmt::format("{}learner.rollout = [{}]", deck.where("learner.rollout"), fmt::join(learner.rollout, ", "));
  constexpr int kLongest = 64;
  for (const int intervals : learner.rollout)
    if (intervals < 1 || intervals > kLongest)
      throw InputError(fmt::format("{} holds {}: a rollout is of 1 to {} coupling intervals", stages, intervals, kLongest));
  if (command != Command::train)
    throw InputError(stages + " needs whole trajectories, and a run streams single samples: set it to [], and fine-tune "
                              "from the archive afterwards (tramontane train --from)");
  if (learner.order != SampleOrder::shuffled)
    throw InputError(stages + " goes with learner.order = shuffled: set that, or set learner.rollout to []");
  if (learner.patience > 0)
    throw InputError(fmt::format("{} goes with a number of steps known beforehand: set learner.patience = {} to 0, or "
                                 "fine-tune what was trained (tramontane train --from)",
                                 stages, learner.patience));
}

/// What only training from archives can do, and what it needs.
void check_offline(const Deck& deck, Command command) {
  const bool is_shuffled = deck.learner.order == SampleOrder::shuffled;
  if (is_shuffled && command != Command::train)
    throw InputError(deck.where("learner.order") +
                     "learner.order = shuffled needs all samples beforehand, and a run streams them: set it to stream, "
                     "and train from the archive afterwards");
  if (!is_shuffled && deck.learner.epochs > 0)
    throw InputError(
        fmt::format("{}learner.epochs = {} goes with learner.order = shuffled: set that, or set "
                    "learner.epochs to 0 and give learner.steps",
                    place_of(deck, {"learner.epochs", "learner.order"}), deck.learner.epochs));
  if (!is_shuffled && deck.learner.patience > 0)
    throw InputError(
        fmt::format("{}learner.patience = {} goes with learner.order = shuffled: set that, or set "
                    "learner.patience to 0",
                    place_of(deck, {"learner.patience", "learner.order"}), deck.learner.patience));
  if (deck.learner.replay && (is_shuffled || deck.learner.archives.size() != 1))
    throw InputError(fmt::format("{}learner.replay goes with learner.order = stream and with one archive, that of the "
                                 "same run: set them, or set learner.replay to none",
                                 place_of(deck, {"learner.replay", "learner.order", "learner.archives"})));
  check_rollout(deck, command);
  if (!HeldOutRule::parse(deck.learner.validation))
    throw InputError(fmt::format(
        "{}learner.validation = [{}] is none of: the word archive, one share between 0 and 1, months YYYY-MM: give one",
        deck.where("learner.validation"), fmt::join(deck.learner.validation, ", ")));
}

void check_forecast(const Deck& deck) {
  check_multiple(deck, "forecast.days", deck.forecast.days * kDay, "output.every", deck.output.every);
  if (deck.surrogate.kind != SurrogateKind::none)
    check_multiple(deck, "output.every", deck.output.every, "surrogate.interval", deck.surrogate.interval);
}

void check_guard(const Deck& deck) {
  if (deck.guard.cutoff > deck.guard.threshold) return;
  throw InputError(fmt::format("{}guard.cutoff = {:g} is not above guard.threshold = {:g}: raise it, or lower the threshold",
                               place_of(deck, {"guard.cutoff", "guard.threshold"}), deck.guard.cutoff,
                               deck.guard.threshold));
}

/// What the time integrator can not do, as far as the deck alone tells.
void check_integrator(const Deck& deck, bool carries_tracers) {
  const IntegratorTraits& traits = integrator_traits(deck.physics.integrator);
  const double limit = traits.courant_limit.at(deck.physics.reconstruction);
  if (limit == 0)
    throw InputError(fmt::format(
        "{}physics.integrator = {} takes no steps of use with physics.reconstruction = {}: choose "
        "another integrator, or reconstruction 3 or 5",
        place_of(deck, {"physics.reconstruction", "physics.integrator"}), traits.name, deck.physics.reconstruction));
  if (carries_tracers && !traits.carries_tracers)
    throw InputError(
        fmt::format("{}physics.integrator = {} does not keep a tracer consistent with the fluid, and "
                    "initial.case = {} brings one: choose another integrator",
                    place_of(deck, {"physics.integrator", "initial.case"}), traits.name, name_of(deck.initial.kind)));
  if (deck.time.cfl && *deck.time.cfl > limit)
    throw InputError(fmt::format(
        "{}time.cfl = {:g} is past the stability limit of {:g} of {} with physics.reconstruction = {}: lower "
        "it, or set it to auto",
        deck.where("time.cfl"), *deck.time.cfl, limit, traits.name, deck.physics.reconstruction));
}

/// What the deck's language knows and this version of the program does not do.
void check_version(const Deck& deck) {
  if (deck.surrogate.kind == SurrogateKind::emulator)
    throw InputError(deck.where("surrogate.kind") +
                     "surrogate.kind = emulator comes with a later version: choose correction or none");
  if (deck.forecast.members > 1)
    throw InputError(deck.where("forecast.members") +
                     "forecast.members above 1 come with a later version: set it to 1");
}

/// The processor this runs on stands for those of the learner ranks, which ask again.
void check_arithmetic(const Deck& deck) {
  try {
    check_precision(deck.learner.precision, name_of(deck.surrogate.backend));
  } catch (const InputError& error) {
    throw InputError(deck.where("learner.precision") + error.what());
  }
}

}  // namespace

void check_deck(const Deck& deck, Command command, int ranks) {
  check_deck(deck, command, rank_layout(deck, command, ranks));
}

void check_deck(const Deck& deck, Command command, const RankLayout& layout) {
  const bool has_surrogate = deck.surrogate.kind != SurrogateKind::none;
  const bool coupled = is_coupled(deck, command);
  check_version(deck);
  check_integrator(deck, command == Command::run && !coupled && tracer_count(deck) > 0);
  check_tiles(deck, "grid.n", deck.grid.n);
  if (has_surrogate) {
    check_nesting(deck);
    check_tiles(deck, "surrogate.coarse_n", deck.surrogate.coarse_n);
    check_levels(deck);
    check_network(deck);
    check_backend(deck);
    check_guard(deck);
  }
  // Two jobs may share a deck: the key is then the run's.
  if (deck.checkpoint.resume != "none" && command != Command::run && !has_two_jobs(deck, command))
    throw InputError(deck.where("checkpoint.resume") +
                     "checkpoint.resume continues tramontane run: set it to none (train goes on with learner.resume)");
  if (coupled) check_teaching(deck);
  if (has_two_jobs(deck, command)) check_exchange(deck, command);
  if (coupled || command == Command::train) {
    check_training(deck, layout);
    check_arithmetic(deck);
    check_offline(deck, command);
  }
  if (coupled || command == Command::forecast) {
    check_months(deck, coupled);
    check_forecast(deck);
  }
  if (command == Command::train) {
    if (!has_surrogate)
      throw InputError(deck.where("surrogate.kind") +
                       "surrogate.kind = none leaves nothing to train: set it to correction");
    if (deck.learner.archives.empty() && !has_two_jobs(deck, command))
      throw InputError("learner.archives is empty: name at least one archive that a run left (stream.archive)");
  }
  if (command == Command::forecast) {
    if (deck.forecast.starts.empty())
      throw InputError(deck.where("forecast.starts") + "forecast.starts is empty: name at least one start month");
    if (!has_surrogate)
      throw InputError(deck.where("surrogate.kind") +
                       "surrogate.kind = none leaves a hybrid forecast without its network: set it to correction");
    if (!deck.surrogate.model)
      throw InputError(deck.where("surrogate.model") +
                       "surrogate.model = none leaves a hybrid forecast without its network: name the model file that "
                       "a run or train left, for example runs/quickstart/model.h5");
  }
}

}  // namespace tramontane
