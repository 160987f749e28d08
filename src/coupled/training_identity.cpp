#include "src/coupled/training_identity.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/checksum.hpp"
#include "src/deck/keys.hpp"

namespace tramontane {

namespace {

/// Lines "key = value" of what decides the weights.
std::string settings_of(const Deck& deck) {
  // The samples are told by what they hold; the others do not change the result.
  std::vector<std::string> free = {"learner.archives",   "learner.bad_samples", "learner.unfinished",
                                   "learner.validation", "learner.read_ahead",  "learner.checkpoint_minutes",
                                   "learner.resume",     "learner.patience",    "learner.model",
                                   "surrogate.model"};
  if (deck.learner.order == SampleOrder::shuffled)
    for (const char* key : {"learner.reservoir", "learner.watermark", "learner.deterministic"}) free.emplace_back(key);
  std::string text;
  for (const Key& key : deck_keys()) {
    if (!key.name.starts_with("learner.") && !key.name.starts_with("surrogate.")) continue;
    if (std::find(free.begin(), free.end(), key.name) != free.end()) continue;
    text += fmt::format("{} = {}\n", key.name, key.get(deck));
  }
  return text;
}

}  // namespace

TrainingIdentity training_identity(const Deck& deck, const LearningPlan& plan, std::int64_t samples, std::uint64_t marks,
                                   int learners) {
  TrainingIdentity identity;
  identity.n = plan.n;
  identity.interval_seconds = plan.interval;
  const NetworkGraph graph = build_graph(training_network(deck, plan));
  identity.parameters = static_cast<std::int64_t>(graph.parameters());
  Checksum network, initial;
  for (const ParameterBlock& block : graph.blocks) {
    network.add(block.name.data(), block.name.size());
    for (const auto size : block.shape) {
      const auto wide = static_cast<std::int64_t>(size);
      network.add(&wide, sizeof wide);
    }
  }
  identity.network = network.value();
  if (plan.from) {
    initial.add(plan.from->weights.data(), plan.from->weights.size() * sizeof(float));
    identity.initial = initial.value();
  }
  identity.samples = samples;
  identity.sample_marks = marks;
  identity.settings = settings_of(deck);
  identity.learners = learners;
  identity.depends_on_learners = deck.learner.order == SampleOrder::stream;
  return identity;
}

}  // namespace tramontane
