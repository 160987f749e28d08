#include "src/coupled/run_snapshot_resume.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "kernels/communicator.hpp"
#include "src/checkpoint/checkpoint.hpp"
#include "src/deck/keys.hpp"
#include "src/program/collective_guard.hpp"

namespace tramontane {

std::string run_settings(const Deck& deck) {
  const std::vector<std::string> sections = {"grid.", "physics.", "initial.", "tracer.", "data.", "time.",
                                             "teach.", "surrogate.", "learner.", "gate.", "guard."};
  // Where things are, how they are read, and what only `train` heeds.
  const std::vector<std::string> free = {
      "surrogate.model",     "learner.archives",   "learner.bad_samples",        "learner.unfinished",
      "learner.validation",  "learner.order",      "learner.read_ahead",         "learner.epochs",
      "learner.patience",    "learner.resume",     "learner.checkpoint_minutes", "learner.model",
      "learner.when_lost",   "learner.replay",     "learner.drift_warning"};
  std::string text;
  for (const Key& key : deck_keys()) {
    const bool decides = key.name == "stream.every" ||
                         std::any_of(sections.begin(), sections.end(),
                                     [&](const std::string& section) { return key.name.starts_with(section); });
    if (decides && std::find(free.begin(), free.end(), key.name) == free.end())
      text += fmt::format("{} = {}\n", key.name, key.get(deck));
  }
  return text;
}

namespace {

/// Looks at one candidate: rank 0 at the manifest and the parts, each learner at the samples that it needs. Returns the
/// damage, "" when there is none, on every rank. Throws InputError when the snapshot is whole and not for this run.
std::string take_up(const std::string& path, const CommandContext& context, RunPast& past) {
  const Deck& deck = context.deck;
  std::string text, damage;
  collective_guard(context.world, [&] {
    if (!context.is_root()) return;
    const SnapshotCheck check = check_snapshot(path);
    damage = check.damage;
    if (!damage.empty()) return;
    if (check.format != kSnapshotFormat)
      throw InputError(
          fmt::format("{}checkpoint.resume = {}: {} has format {}, and this program reads format {}: continue with the "
                      "version that wrote it, or start anew with checkpoint.resume = none",
                      deck.where("checkpoint.resume"), deck.checkpoint.resume, path, check.format, kSnapshotFormat));
    check_fits(check.snapshot, run_settings(deck), context.ranks.learners, path);
    text = to_text(check.snapshot);
  });
  damage = shared_text(damage, context.world);
  if (!damage.empty()) return damage;
  past.path = path;
  past.snapshot = snapshot_from(shared_text(text, context.world));
  past.learner.reset();
  try {
    collective_guard(context.world, [&] {
      if (context.ranks.is_learner(context.rank))
        past.learner =
            read_learner_past(path, context.rank - context.ranks.first_learner(), deck.surrogate.coarse_n);
    });
  } catch (const RunError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

std::optional<RunPast> find_past(const CommandContext& context) {
  const Deck& deck = context.deck;
  if (deck.checkpoint.resume == "none") return std::nullopt;
  std::string joined;
  collective_guard(context.world, [&] {
    if (context.is_root()) joined = fmt::format("{}", fmt::join(wanted_snapshots(deck), "\n"));
  });
  joined = shared_text(joined, context.world);
  std::vector<std::string> candidates;
  for (std::size_t at = 0; at < joined.size();) {
    const std::size_t end = std::min(joined.find('\n', at), joined.size());
    candidates.push_back(joined.substr(at, end - at));
    at = end + 1;
  }
  RunPast past;
  std::string damages;
  for (std::size_t k = 0; k < candidates.size(); ++k) {
    const std::string damage = take_up(candidates[k], context, past);
    if (damage.empty()) {
      if (context.is_root()) {
        spdlog::info("continuing at sample {} and training step {} from {}", past.snapshot.place.number,
                     past.snapshot.training_step, past.path);
        if (past.snapshot.version != TRAMONTANE_VERSION)
          spdlog::warn("{} was written by tramontane {}, this is {}: results may differ in the last digits", past.path,
                       past.snapshot.version, TRAMONTANE_VERSION);
      }
      return past;
    }
    damages += (damages.empty() ? "" : ", ") + fmt::format("{}: {}", candidates[k], damage);
    if (context.is_root() && k + 1 < candidates.size())
      spdlog::warn("the snapshot {} is damaged ({}): taking the older one", candidates[k], damage);
  }
  if (!candidates.empty())
    throw InputError(fmt::format("{}checkpoint.resume = {}: no snapshot is usable ({}); start anew with "
                                 "checkpoint.resume = none",
                                 deck.where("checkpoint.resume"), deck.checkpoint.resume, damages));
  if (context.is_root()) spdlog::info("no snapshot in {}: starting anew", snapshots_folder(deck));
  return std::nullopt;
}

void restore_fine_solver(const RunPast& past, const Deck& deck, SolverPair& pair, BudgetWatch& watch) {
  const std::string path = past.path + "/" + kStatePart;
  Checkpoint own = describe(deck, pair.fine());
  own.budgets_at_start = watch.start_values();
  own.largest_drifts = watch.worst_values();
  const Checkpoint checkpoint = read_checkpoint(path, pair.comm());
  check_fits(checkpoint, own, path);
  read_checkpoint_state(path, pair.fine().solver(), pair.fine().state());
  pair.fine().restore(checkpoint.progress);
  watch.restore(checkpoint.budgets_at_start, checkpoint.largest_drifts);
}

}  // namespace tramontane
