/// Who made what, and how the parts of a coupled job put their reports together.
#pragma once

#include <string>
#include <vector>

#include "src/output/summary.hpp"
#include "src/program/commands.hpp"

namespace tramontane {

/// Name of a run, the same on all ranks and for equal decks: a checksum of the resolved deck but for its sections
/// checkpoint and ranks.
std::string run_id(const Deck& deck);

/// What a model file says about its training, JSON: command, program version, months, deck.
std::string training_provenance(const Deck& deck, const std::string& command);

/// Brings the learner's figures to rank 0 of the world. Collective over the world.
void share_learner_summary(const CommandContext& context, Summary& summary, double idle_seconds);

/// Joins metrics files into one and removes the parts.
void join_metrics(const std::vector<std::string>& parts, const std::string& path);

}  // namespace tramontane
