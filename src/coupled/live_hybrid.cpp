#include "src/coupled/live_hybrid.hpp"

#include <fmt/format.h>

#include <cmath>

namespace tramontane {

LiveHybrid::LiveHybrid(const Deck& deck, SolverPair& solvers)
    : deck_(deck), solvers_(solvers), hybrid_(deck, solvers), alone_(deck, solvers) {}

void LiveHybrid::start(const SampleInfo& info, const CellFields& truth) {
  hybrid_.start(truth);
  alone_.start(truth);
  lesson_ = info.trajectory;
  started_ = time_ = info.time;
  bad_seconds_ = 0;
}

std::optional<LiveHybrid::Report> LiveHybrid::see(const SampleInfo& info, const FieldsOnDemand& truth,
                                                  HybridCorrection* correction, std::int64_t version) {
  const bool goes_on = correction && version == followed_ && info.trajectory == lesson_;
  followed_ = correction ? version : 0;
  if (!correction) return {};
  if (!goes_on) {
    start(info, *truth);
    return {};
  }
  const double seconds = info.time - time_;
  time_ = info.time;
  Report report;
  report.lead_hours = (info.time - started_) / 3600;
  report.bad = hybrid_.advance(correction, seconds);
  report.fallback_fraction = correction->fallback_last();
  if (report.bad.empty() && report.fallback_fraction > deck_.gate.fallback_limit)
    report.bad = correction->fallback_text(report.fallback_fraction);
  if (!report.bad.empty()) return report;
  if (const std::string trouble = alone_.advance(nullptr, seconds); !trouble.empty())
    throw RunError("the coarse solver alone can not follow a lesson: " + trouble);
  report.error = std::sqrt(error_energy(solvers_.coarse(), deck_.initial.mean_depth, hybrid_.fields(), *truth));
  report.coarse_error = std::sqrt(error_energy(solvers_.coarse(), deck_.initial.mean_depth, alone_.fields(), *truth));
  bad_seconds_ = report.ratio() > deck_.gate.margin ? bad_seconds_ + seconds : 0;
  if (bad_seconds_ > deck_.gate.patience * 3600)
    report.bad = fmt::format("its error has been more than {:g} times that of the coarse solver alone for {:g} h, now {:.2f} times",
                             deck_.gate.margin, bad_seconds_ / 3600, report.ratio());
  return report;
}

}  // namespace tramontane
