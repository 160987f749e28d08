#include "src/coupled/exchange_setup.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <filesystem>

#include "kernels/errors.hpp"
#include "src/coupled/provenance.hpp"
#include "src/coupled/teacher.hpp"

namespace tramontane {

RunAnnouncement announcement_of(const Deck& deck, const RunSnapshot* continued) {
  RunAnnouncement run;
  run.run_id = continued ? continued->run_id : run_id(deck);
  run.takes_snapshots = deck.takes_snapshots();
  run.archive = std::filesystem::absolute(deck.stream.archive.value()).lexically_normal();
  run.output_dir = std::filesystem::absolute(deck.output.dir).lexically_normal();
  run.n = deck.grid.n;
  run.coarse_n = deck.surrogate.coarse_n;
  run.interval_seconds = deck.surrogate.interval;
  run.training = total_samples(deck, false);
  run.validation = total_samples(deck, true);
  return run;
}

ExchangeSummary close_exchange(SolverEnd& exchange, std::int64_t produced) {
  const ExchangeLedger ledger = exchange.ledger(produced);
  ExchangeSummary out;
  out.produced = ledger.produced;
  out.archived = ledger.archived;
  out.lost = ledger.lost;
  out.taken = ledger.taken;
  out.rejected = ledger.rejected;
  out.left = ledger.left;
  out.learners = exchange.learners_seen();
  out.refused = exchange.refused();
  const LearnerState learner = exchange.learner();
  out.partner = learner.is_done ? "done" : learner.is_lost ? learner.why : "at work";
  if (!ledger.closed())
    throw RunError(fmt::format("the ledger of the two jobs does not close: {}, of {} in the archive", to_string(ledger),
                               ledger.archived));
  spdlog::info("samples: {}{}", to_string(ledger),
               ledger.has_learner ? "" : " (no learner has told what it took)");
  if (ledger.lost > 0) spdlog::warn("{} samples are lost: the archive could not take them", ledger.lost);
  return out;
}

}  // namespace tramontane
