#include "src/coupled/forecast.hpp"

#include <cmath>

#include "kernels/communicator.hpp"
#include "kernels/wait_scope.hpp"
#include "physics/diagnostics.hpp"
#include "src/program/progress.hpp"
#include "src/program/signals.hpp"

namespace tramontane {

namespace {

constexpr const char* kTruth = "fine";

/// The scored quantities: scalars, and the wind as a vector of two components.
struct ScoredField {
  const char* name;
  std::vector<const std::vector<double> ForecastFields::*> components;
};
const std::vector<ScoredField>& scored_fields() {
  static const std::vector<ScoredField> list = {
      {"h", {&ForecastFields::depth}},
      {"u", {&ForecastFields::eastward}},
      {"v", {&ForecastFields::northward}},
      {"wind", {&ForecastFields::eastward, &ForecastFields::northward}},
  };
  return list;
}

/// Area integrals over the sphere of `terms` quantities per cell: f(cell k, sums). The same bits on any ranks.
template <class Function>
std::vector<double> integrate(const Grid& grid, MPI_Comm comm, int terms, const Function& f) {
  const int size = grid.tile_cells();
  std::vector<double> per_tile(static_cast<std::size_t>(grid.tile_count()) * terms, 0.0);
  std::size_t k = 0;
  for (int tile = 0; tile < grid.tile_count(); ++tile) {
    const TilePlace place = grid.tiling().place(grid.first_tile() + tile);
    for (int j = 0; j < size; ++j)
      for (int i = 0; i < size; ++i, ++k)
        f(k, grid.cell_area(place.tj * size + j, place.ti * size + i),
          &per_tile[static_cast<std::size_t>(tile) * terms]);
  }
  return sum_over_tiles(grid.tiling(), comm, per_tile, terms);
}

}  // namespace

Forecast::Forecast(const Deck& deck, SolverPair& solvers) : deck_(deck), solvers_(solvers) {
  const int leads = static_cast<int>(std::floor(deck.forecast.days * 86400 / deck.output.every + 1e-9));
  for (int k = 0; k <= leads; ++k) lead_hours_.push_back(k * deck.output.every / 3600);
}

std::vector<std::string> Forecast::start_names() const {
  std::vector<std::string> names;
  for (const Month& month : deck_.forecast.starts) names.push_back(month.text());
  return names;
}

std::vector<std::string> Forecast::systems() const {
  std::vector<std::string> names;
  for (const auto& [name, fields] : fields_) names.push_back(name);
  return names;
}

const ForecastFields& Forecast::at(const std::string& system, int start, int lead) const {
  return fields_.at(system)[start][lead];
}

ForecastFields Forecast::current(Simulation& simulation, const CellFields& fields) const {
  const HorizontalWind wind = horizontal_wind(simulation.grid(), fields);
  return {fields.depth, wind.eastward, wind.northward};
}

bool Forecast::run_references(bool show_progress, const std::function<bool()>& between) {
  const int leads = static_cast<int>(lead_hours_.size());
  const int starts = static_cast<int>(deck_.forecast.starts.size());
  Progress progress("reference forecasts", static_cast<double>(starts) * (leads - 1), "leads",
                    show_progress && rank_in(solvers_.comm()) == 0);
  Simulation &fine = solvers_.fine(), &coarse = solvers_.coarse();
  const double fine_before = fine.effort().seconds;
  for (const char* system : {kTruth, "coarse", "persistence"}) fields_[system].assign(starts, {});
  for (int start = 0; start < starts; ++start) {
    solvers_.start(deck_.forecast.starts[start]);
    watch_.start(fine);
    for (int lead = 0; lead < leads; ++lead) {
      if (between && between()) return false;
      if (stop_requested(solvers_.comm())) return false;
      if (lead > 0) {
        // In coupling intervals, as the teacher and the hybrid go.
        for (double t = 0; t < deck_.output.every - 1e-6; t += deck_.surrogate.interval) {
          fine.advance(deck_.surrogate.interval);
          coarse.advance(deck_.surrogate.interval);
        }
        progress.update(static_cast<double>(start) * (leads - 1) + lead);
      }
      fields_[kTruth][start].push_back(current(coarse, solvers_.coarse_grained()));
      fields_["coarse"][start].push_back(current(coarse, coarse.fields()));
      fields_["persistence"][start].push_back(fields_[kTruth][start].front());
    }
    watch_.drift(fine);
  }
  fine_seconds_ = fine.effort().seconds - fine_before;
  return true;
}

bool Forecast::run_hybrid(const Correction& correction, bool show_progress,
                          const std::function<std::vector<double>()>& take_fallback) {
  const int leads = static_cast<int>(lead_hours_.size());
  const int starts = static_cast<int>(deck_.forecast.starts.size());
  Progress progress("hybrid forecasts", static_cast<double>(starts) * (leads - 1), "leads",
                    show_progress && rank_in(solvers_.comm()) == 0);
  Simulation& coarse = solvers_.coarse();
  fields_["hybrid"].assign(starts, {});
  fallback_.assign(take_fallback ? starts : 0, {});
  for (int start = 0; start < starts; ++start) {
    solvers_.start(deck_.forecast.starts[start]);
    for (int lead = 0; lead < leads; ++lead) {
      if (stop_requested(solvers_.comm())) {
        coarse.solver().set_forcing({});
        return false;
      }
      if (lead > 0) {
        const double began = MPI_Wtime();
        for (double t = 0; t < deck_.output.every - 1e-6; t += deck_.surrogate.interval) {
          coarse.solver().set_forcing(correction_forcing(coarse.solver(), coarse.state(), correction(coarse.fields())));
          coarse.advance(deck_.surrogate.interval);
        }
        coarse.solver().set_forcing({});
        hybrid_seconds_ += MPI_Wtime() - began;
        sign_of_life("forecast-lead", start * (leads - 1) + lead);
        progress.update(static_cast<double>(start) * (leads - 1) + lead);
      }
      fields_["hybrid"][start].push_back(current(coarse, coarse.fields()));
      if (!take_fallback) continue;
      if (lead == 0) take_fallback();  // what came before belongs to no lead
      fallback_[start].push_back(lead > 0 ? take_fallback() : std::vector<double>(coarse.fields().depth.size(), 0.0));
    }
  }
  return true;
}

double Forecast::mean_fallback(int start, int lead) const {
  const std::vector<double>& map = fallback(start, lead);
  const Grid& grid = solvers_.coarse().grid();
  const auto sums = integrate(grid, solvers_.comm(), 1, [&](std::size_t k, double, double* sum) { sum[0] += map[k]; });
  return sums[0] / grid.tiling().cell_count();
}

void Forecast::hybrid_is_coarse() {
  fields_["hybrid"] = fields_.at("coarse");
  fallback_.clear();
  for (const auto& start : fields_["hybrid"]) {
    auto& maps = fallback_.emplace_back();
    for (const ForecastFields& lead : start) maps.emplace_back(lead.depth.size(), maps.empty() ? 0.0 : 1.0);
  }
}

Scores Forecast::rmse(const std::vector<int>& starts) const {
  const Grid& grid = solvers_.coarse().grid();
  Scores out;
  for (const auto& [system, forecasts] : fields_) {
    if (system == kTruth) continue;
    for (const ScoredField& field : scored_fields())
      for (std::size_t lead = 0; lead < lead_hours_.size(); ++lead) {
        double error = 0, area = 0;
        for (int start : starts) {
          const ForecastFields &value = forecasts[start][lead], &truth = at(kTruth, start, static_cast<int>(lead));
          const auto sums = integrate(grid, solvers_.comm(), 2, [&](std::size_t k, double cell, double* sum) {
            for (const auto component : field.components) {
              const double difference = (value.*component)[k] - (truth.*component)[k];
              sum[0] += cell * difference * difference;
            }
            sum[1] += cell;
          });
          error += sums[0];
          area += sums[1];
        }
        out[field.name][system].push_back(std::sqrt(error / area));
      }
  }
  return out;
}

Scores Forecast::anomaly_correlation() const {
  const Grid& grid = solvers_.coarse().grid();
  const auto& truth = fields_.at(kTruth);
  Scores out;
  for (const ScoredField& field : scored_fields()) {
    std::vector<std::vector<double>> climate;
    for (const auto component : field.components) {
      std::vector<double> mean((truth[0][0].*component).size(), 0.0);
      for (const auto& start : truth)
        for (const ForecastFields& lead : start)
          for (std::size_t k = 0; k < mean.size(); ++k) mean[k] += (lead.*component)[k];
      for (double& value : mean) value /= static_cast<double>(truth.size() * truth[0].size());
      climate.push_back(std::move(mean));
    }
    for (const auto& [system, forecasts] : fields_) {
      if (system == kTruth) continue;
      for (std::size_t lead = 0; lead < lead_hours_.size(); ++lead) {
        double product = 0, own = 0, other = 0;
        for (std::size_t start = 0; start < truth.size(); ++start) {
          const auto sums = integrate(grid, solvers_.comm(), 3, [&](std::size_t k, double cell, double* sum) {
            for (std::size_t c = 0; c < field.components.size(); ++c) {
              const double a = (forecasts[start][lead].*field.components[c])[k] - climate[c][k];
              const double b = (truth[start][lead].*field.components[c])[k] - climate[c][k];
              sum[0] += cell * a * b;
              sum[1] += cell * a * a;
              sum[2] += cell * b * b;
            }
          });
          product += sums[0];
          own += sums[1];
          other += sums[2];
        }
        out[field.name][system].push_back(product / std::sqrt(own * other));
      }
    }
  }
  return out;
}

ForecastSummary Forecast::scores() const {
  ForecastSummary out;
  out.lead_hours = lead_hours_;
  out.start_months = start_names();
  std::vector<int> all;
  for (std::size_t start = 0; start < out.start_months.size(); ++start) all.push_back(static_cast<int>(start));
  out.rmse = rmse(all);
  out.acc = anomaly_correlation();
  if (has_fallback() && lead_hours_.size() > 1) {
    double sum = 0;
    for (int start : all)
      for (int lead = 1; lead < static_cast<int>(lead_hours_.size()); ++lead) sum += mean_fallback(start, lead);
    out.fallback_fraction = sum / static_cast<double>(all.size() * (lead_hours_.size() - 1));
  }
  if (hybrid_seconds_ > 0) {
    double ratio = hybrid_seconds_ / fine_seconds_;
    MPI_Bcast(&ratio, 1, MPI_DOUBLE, 0, solvers_.comm());
    out.cost_ratio = ratio;
  }
  return out;
}

Scores Forecast::scores_of_start(int start) const {
  return rmse({start});
}

}  // namespace tramontane
