#include "src/coupled/shadow_cases.hpp"

#include <algorithm>
#include <cmath>

#include "src/coupled/teacher.hpp"
#include "src/output/latlon_writer.hpp"

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

/// Several fields on this rank's tiles, one after the other, as fields of the whole sphere on the first rank.
template <class T>
std::vector<T> gathered(const Tiling& tiling, const std::vector<T>& tiles, std::size_t fields, MPI_Comm comm) {
  std::vector<T> out;
  const std::size_t cells = tiles.size() / fields;
  for (std::size_t f = 0; f < fields; ++f) {
    const std::vector<double> mine(tiles.begin() + static_cast<std::ptrdiff_t>(f * cells),
                                   tiles.begin() + static_cast<std::ptrdiff_t>((f + 1) * cells));
    const std::vector<double> whole = gather_to_root(tiling, mine, comm);
    out.insert(out.end(), whole.begin(), whole.end());
  }
  return out;
}

/// The other way: the first rank's fields, dealt to all ranks.
template <class T>
std::vector<T> dealt(const Grid& grid, std::vector<T> whole, std::size_t fields, MPI_Comm comm) {
  std::vector<T> out;
  const std::size_t cells = grid.tiling().cell_count();
  whole.resize(fields * cells);
  MPI_Bcast(whole.data(), static_cast<int>(whole.size() * sizeof(T)), MPI_BYTE, 0, comm);
  for (std::size_t f = 0; f < fields; ++f) {
    const std::vector<T> field(whole.begin() + static_cast<std::ptrdiff_t>(f * cells),
                               whole.begin() + static_cast<std::ptrdiff_t>((f + 1) * cells));
    const std::vector<T> mine = tiles_from_global(grid.tiling(), field, grid.first_tile(), grid.tile_count());
    out.insert(out.end(), mine.begin(), mine.end());
  }
  return out;
}

constexpr std::size_t kFields = 4;

std::vector<double> flat(const CellFields& fields) {
  std::vector<double> out = fields.depth;
  for (const auto& component : fields.velocity) out.insert(out.end(), component.begin(), component.end());
  return out;
}

CellFields from_flat(const std::vector<double>& values) {
  const std::ptrdiff_t cells = static_cast<std::ptrdiff_t>(values.size() / kFields);
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

void ShadowCases::see(const SampleInfo& info, const FieldsOnDemand& truth) {
  if (info.time == 0 && is_wanted(info)) {
    cases_.resize(coarse_errors_.size());  // one that a signal cut short is of no use
    cases_.push_back({*truth, {}});
    lesson_ = info.trajectory;
    return;
  }
  if (info.trajectory != lesson_ || cases_.size() == coarse_errors_.size()) return;
  Case& one = cases_.back();
  one.truths.push_back(packed(*truth));
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

ShadowCasesState ShadowCases::state() const {
  const Tiling& tiling = solvers_.coarse().grid().tiling();
  ShadowCasesState out;
  out.lesson = lesson_;
  out.coarse_errors = coarse_errors_;
  for (const Case& one : cases_) {
    out.truths.push_back(static_cast<std::int64_t>(one.truths.size()));
    out.starts.push_back(gathered(tiling, flat(one.start), kFields, solvers_.comm()));
  }
  for (const Case& one : cases_)
    for (const auto& truth : one.truths) out.states.push_back(gathered(tiling, truth, kFields, solvers_.comm()));
  return out;
}

void ShadowCases::restore(const ShadowCasesState& state) {
  const MPI_Comm comm = solvers_.comm();
  const Grid& grid = solvers_.coarse().grid();
  std::int64_t head[3] = {state.lesson, static_cast<std::int64_t>(state.truths.size()),
                          static_cast<std::int64_t>(state.coarse_errors.size())};
  MPI_Bcast(head, 3, MPI_INT64_T, 0, comm);
  std::vector<std::int64_t> truths = state.truths;
  truths.resize(static_cast<std::size_t>(head[1]));
  coarse_errors_ = state.coarse_errors;
  coarse_errors_.resize(static_cast<std::size_t>(head[2]));
  MPI_Bcast(truths.data(), static_cast<int>(truths.size()), MPI_INT64_T, 0, comm);
  MPI_Bcast(coarse_errors_.data(), static_cast<int>(coarse_errors_.size()), MPI_DOUBLE, 0, comm);
  lesson_ = static_cast<int>(head[0]);
  cases_.clear();
  for (std::size_t k = 0; k < truths.size(); ++k)
    cases_.push_back({from_flat(dealt(grid, k < state.starts.size() ? state.starts[k] : std::vector<double>(), kFields, comm)), {}});
  std::size_t at = 0;
  for (std::size_t k = 0; k < truths.size(); ++k)
    for (std::int64_t t = 0; t < truths[k]; ++t, ++at)
      cases_[k].truths.push_back(dealt(grid, at < state.states.size() ? state.states[at] : std::vector<float>(), kFields, comm));
}

}  // namespace tramontane
