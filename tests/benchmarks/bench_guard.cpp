// What the guard of a surrogate costs, and what it is good for: forecasts from states that a model knows and from
// foreign ones, with the weights as they were trained and with spoilt ones, held against the fine solver.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <fstream>
#include <iostream>
#include <limits>

#include "ml/counter_random.hpp"
#include "physics/cases/galewsky.hpp"
#include "physics/cases/williamson6.hpp"
#include "physics/elliptic/petsc_session.hpp"
#include "src/coupled/companion_run.hpp"
#include "src/coupled/hybrid.hpp"
#include "src/coupled/learning.hpp"
#include "src/coupled/teacher.hpp"
#include "tests/benchmarks/measurement.hpp"

namespace tramontane {
namespace {

using Json = nlohmann::ordered_json;

/// A case's flow over the deck's relief: its surface, shifted to the deck's mean depth.
CellFields over_relief(const Deck& deck, SolverPair& pair, const AnalyticCase& start) {
  const Grid& grid = pair.fine().grid();
  ShallowWater& solver = pair.fine().solver();
  Simulation smooth(deck, std::make_shared<const Grid>(grid.tiling(), 0, kEarthRadius, grid.order()), pair.comm(),
                    std::vector<double>(grid.tiling().cell_count(), 0.0), deck.initial.mean_depth);
  set_state(smooth.solver(), start, smooth.state());
  CellFields fields = smooth.fields();
  const std::vector<double>& relief = solver.orography();
  double sum = 0, sphere = 0;
  std::vector<double> area_of(fields.depth.size());
  for (int tile = 0, k = 0; tile < grid.tile_count(); ++tile) {
    const TilePlace place = grid.tiling().place(tile);
    for (int j = 0; j < grid.tile_cells(); ++j)
      for (int i = 0; i < grid.tile_cells(); ++i, ++k) {
        area_of[k] = grid.cell_area(place.tj * grid.tile_cells() + j, place.ti * grid.tile_cells() + i);
        sum += area_of[k] * (fields.depth[k] - relief[k]);
        sphere += area_of[k];
      }
  }
  const double shift = deck.initial.mean_depth - sum / sphere;
  for (std::size_t k = 0; k < fields.depth.size(); ++k) fields.depth[k] += shift - relief[k];
  return fields;
}

/// The weights, or what a fault could make of them.
Model spoilt(Model model, const std::string& how) {
  std::vector<float>& w = model.weights;
  const auto place = [&](std::uint64_t k) { return index_at(11, RandomStream::self_test, k, w.size()); };
  if (how == "one weight 1000") w[place(0)] = 1000;
  if (how == "one NaN") w[place(0)] = std::numeric_limits<float>::quiet_NaN();
  if (how == "all times 1.3")
    for (float& value : w) value *= 1.3f;
  if (how == "one in 100 at random")
    for (std::size_t k = 0; k < w.size() / 100; ++k)
      w[place(k)] = static_cast<float>(uniform_at(12, RandomStream::self_test, k) - 0.5);
  if (how == "sign of all")
    for (float& value : w) value = -value;
  return model;
}

struct Errors {
  double depth = 0, wind = 0;
};
Errors rmse(const Grid& grid, const CellFields& one, const CellFields& other) {
  double sums[3] = {};
  for (int tile = 0, k = 0; tile < grid.tile_count(); ++tile) {
    const TilePlace place = grid.tiling().place(tile);
    for (int j = 0; j < grid.tile_cells(); ++j)
      for (int i = 0; i < grid.tile_cells(); ++i, ++k) {
        const double area = grid.cell_area(place.tj * grid.tile_cells() + j, place.ti * grid.tile_cells() + i);
        sums[0] += area * std::pow(one.depth[k] - other.depth[k], 2);
        for (int c = 0; c < 3; ++c) sums[1] += area * std::pow(one.velocity[c][k] - other.velocity[c][k], 2);
        sums[2] += area;
      }
  }
  return {std::sqrt(sums[0] / sums[2]), std::sqrt(sums[1] / sums[2])};
}

class Bench {
 public:
  Bench(const std::string& deck, const std::string& model, int days)
      : deck_(read_deck(deck)), unguarded_(deck_), days_(days), model_(Model::load(model)) {
    deck_.guard.mode = "on";
    unguarded_.guard.mode = "off";
    pair_ = std::make_unique<SolverPair>(deck_, MPI_COMM_WORLD, deck_.forecast.starts.front());
  }

  Json run() {
    Json out;
    for (const char* state : {"winds 1991-01", "Galewsky", "Rossby-Haurwitz"}) {
      follow(state);
      CompanionRun alone(deck_, *pair_);
      alone.start(truths_.front());
      const std::string trouble = alone.advance(nullptr, days_ * 86400.0);
      const Errors coarse = trouble.empty() ? rmse(grid(), alone.fields(), truths_.back()) : Errors{};
      for (const char* weights :
           {"as trained", "all times 1.3", "one in 100 at random", "sign of all", "one weight 1000", "one NaN"}) {
        if (std::string(state) != "winds 1991-01" && std::string(weights) != "as trained") continue;
        const Model model = spoilt(model_, weights);
        Json line = {{"state", state}, {"weights", weights}, {"coarse_h", coarse.depth}, {"coarse_wind", coarse.wind}};
        for (const Deck* deck : {&unguarded_, &deck_}) {
          const std::string kind = deck == &deck_ ? "guarded" : "unguarded";
          HybridCorrection correction(*deck, model, *pair_);
          CompanionRun hybrid(*deck, *pair_);
          hybrid.start(truths_.front());
          if (const std::string why = hybrid.advance(&correction, days_ * 86400.0); !why.empty()) {
            line[kind] = why;
          } else {
            const Errors e = rmse(grid(), hybrid.fields(), truths_.back());
            line[kind + "_h"] = e.depth;
            line[kind + "_wind"] = e.wind;
          }
          if (deck == &deck_) line["fallback_fraction"] = correction.fallback().fraction();
        }
        std::cout << line.dump() << std::endl;
        out["forecasts"].push_back(line);
      }
    }
    pair_->start(deck_.forecast.starts.front());
    const CellFields fields = pair_->coarse().fields();
    HybridCorrection plain(unguarded_, model_, *pair_), guarded(deck_, model_, *pair_);
    // In turn, so that other work on the machine meets both.
    Samples without, with;
    for (int k = 0; k < 200; ++k) {
      double began = processor_seconds();
      plain(fields);
      without.add(processor_seconds() - began);
      began = processor_seconds();
      guarded(fields);
      with.add(processor_seconds() - began);
    }
    out["call_processor_seconds"] = {{"unguarded", without.json()}, {"guarded", with.json()}};
    std::cout << out["call_processor_seconds"].dump() << std::endl;
    return out;
  }

 private:
  const Grid& grid() { return pair_->coarse().grid(); }
  /// The fine solver from the state, coarse-grained at start and end.
  void follow(const std::string& state) {
    pair_->start(deck_.forecast.starts.front());
    if (state == "Galewsky") pair_->fine().set_fields(over_relief(deck_, *pair_, galewsky(true)));
    if (state == "Rossby-Haurwitz") pair_->fine().set_fields(over_relief(deck_, *pair_, williamson6()));
    pair_->restart_coarse();
    truths_ = {pair_->coarse().fields()};
    pair_->fine().advance(days_ * 86400.0);
    truths_.push_back(pair_->coarse_grained());
  }

  Deck deck_, unguarded_;
  int days_;
  Model model_;
  std::unique_ptr<SolverPair> pair_;
  std::vector<CellFields> truths_;
};

}  // namespace
}  // namespace tramontane

int main(int argc, char** argv) {
  CLI::App app("Cost and use of the guard of a surrogate (on one rank)");
  std::string deck = "inputs/forecast.yaml", model = "runs/quickstart/model.h5", json;
  int days = 3;
  app.add_option("--deck", deck, "Deck of the forecasts");
  app.add_option("--model", model, "Model file with a training distribution");
  app.add_option("--days", days, "Length of a forecast");
  app.add_option("--json", json, "File to write");
  CLI11_PARSE(app, argc, argv);
  MPI_Init(&argc, &argv);
  Kokkos::initialize(argc, argv);
  {
    const tramontane::PetscSession petsc;
    const auto result = tramontane::Bench(deck, model, days).run();
    if (!json.empty()) std::ofstream(json) << result.dump(1) << "\n";
  }
  Kokkos::finalize();
  MPI_Finalize();
}
