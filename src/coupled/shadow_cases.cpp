#include "src/coupled/shadow_cases.hpp"

#include <algorithm>
#include <cmath>

#include "src/coupled/teacher.hpp"

namespace tramontane {

namespace {

/// Four fields in single precision, whose round-off (0.5 mm of depth) is far below any forecast's error.
std::vector<float> packed(const CellFields& fields) {
  std::vector<float> out(fields.depth.begin(), fields.depth.end());
  for (const auto& component : fields.velocity) out.insert(out.end(), component.begin(), component.end());
  return out;
}

CellFields unpacked(const std::vector<float>& values) {
  const std::ptrdiff_t cells = static_cast<std::ptrdiff_t>(values.size() / 4);
  CellFields out;
  out.depth.assign(values.begin(), values.begin() + cells);
  for (int c = 0; c < 3; ++c)
    out.velocity[c].assign(values.begin() + (c + 1) * cells, values.begin() + (c + 2) * cells);
  return out;
}

}  // namespace

ShadowCases::ShadowCases(const Deck& deck, SolverPair& solvers)
    : deck_(deck), solvers_(solvers), companion_(deck, solvers) {
  leads_ = std::min(static_cast<int>(std::floor(deck.gate.hours * 3600 / deck.stream.every + 1e-9)),
                    samples_per_lesson(deck) - 1);
}

double ShadowCases::hours() const {
  return leads_ * deck_.stream.every / 3600;
}

std::size_t ShadowCases::bytes() const {
  const std::size_t lessons = deck_.teach.validation.empty() ? deck_.teach_months().size() : deck_.teach.validation.size();
  const std::size_t cells = solvers_.coarse().grid().tiling().cell_count();
  return std::min<std::size_t>(lessons, deck_.gate.cases) * 4 * cells * (sizeof(double) + leads_ * sizeof(float));
}

bool ShadowCases::is_wanted(const SampleInfo& info) const {
  return leads_ > 0 && size() < deck_.gate.cases && (info.validation != 0 || deck_.teach.validation.empty());
}

void ShadowCases::see(const SampleInfo& info, const CellFields& truth) {
  if (info.time == 0 && is_wanted(info)) {
    cases_.resize(coarse_errors_.size());  // one that a signal cut short is of no use
    cases_.push_back({truth, {}});
    lesson_ = info.trajectory;
    return;
  }
  if (info.trajectory != lesson_ || cases_.size() == coarse_errors_.size()) return;
  Case& one = cases_.back();
  one.truths.push_back(packed(truth));
  if (static_cast<int>(one.truths.size()) < leads_) return;
  const Outcome alone = error_of(one, nullptr);
  if (!alone.trouble.empty()) throw RunError("the coarse solver alone can not follow a lesson: " + alone.trouble);
  coarse_errors_.push_back(alone.score);
}

ShadowCases::Outcome ShadowCases::run(int number, HybridCorrection& correction) {
  Outcome out = error_of(cases_[number], &correction);
  if (out.trouble.empty()) out.score /= coarse_errors_[number];
  return out;
}

ShadowCases::Outcome ShadowCases::error_of(const Case& one, HybridCorrection* correction) {
  double energy = 0;
  companion_.start(one.start);
  for (const std::vector<float>& truth : one.truths) {
    if (const std::string trouble = companion_.advance(correction, deck_.stream.every); !trouble.empty())
      return {trouble, 0};
    energy += error_energy(solvers_.coarse(), deck_.initial.mean_depth, companion_.fields(), unpacked(truth));
  }
  return {"", std::sqrt(energy / static_cast<double>(one.truths.size()))};
}

}  // namespace tramontane
