// The guard in the program's forecasts: left alone where all is well, physics alone where the network is not sound.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "job.hpp"
#include "ml/model.hpp"

namespace tramontane::testing {
namespace {

using nlohmann::json;

class GuardedForecast : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(small_run().job.code, 0) << small_run().job.err;
    model_ = Model::load(small_run().folder + "/model.h5");
  }
  /// Forecasts of the small run's starts with a model.
  json forecast(const Model& model, const std::string& name, int ranks, const std::string& more = "") {
    const std::string file = scratch_ / (name + ".h5");
    model.save(file);
    const Job job = run_job(scratch_, name, ranks,
                            "forecast " + small_run().deck + " --set output.dir=" + (scratch_ / name) +
                                " --set surrogate.model=" + file + more);
    EXPECT_EQ(job.code, 0) << job.err;
    err_ = job.out + job.err;
    return read_json(scratch_ / (name + "/summary.json"));
  }
  std::vector<double> map(const std::string& name) const {
    const auto bytes = datasets_of(scratch_ / (name + "/forecast.nc")).at("fallback_hybrid");
    std::vector<double> values(bytes.size() / sizeof(double));
    std::copy(bytes.begin(), bytes.end(), reinterpret_cast<std::byte*>(values.data()));
    return values;
  }

  Scratch scratch_{"guard"};
  Model model_;
  std::string err_;
};

TEST_F(GuardedForecast, ASpoiltNetworkIsNoWorseThanTheCoarseSolverAloneOnAnyRanks) {
  ASSERT_FALSE(model_.distribution.empty());
  Model loud = model_;  // finite, and says nonsense with a loud voice
  for (float& weight : loud.weights) weight *= -4;
  loud.make_self_test();
  const json summary = forecast(loud, "loud", 1), forecast_of = summary["forecast"];
  EXPECT_GT(forecast_of["fallback_fraction"], 0.9);
  EXPECT_LT(std::abs(summary["solver"]["mass_drift"].get<double>()), 1e-12);
  const json free = forecast(loud, "free", 1, " --set guard.mode=off")["forecast"];
  EXPECT_TRUE(free["fallback_fraction"].is_null());
  for (const char* field : {"h", "wind"}) {
    const auto of = [&](const json& f, const char* system) { return f["rmse"][field][system].back().get<double>(); };
    EXPECT_LT(of(forecast_of, "hybrid"), 1.1 * of(forecast_of, "coarse")) << field;
    EXPECT_GT(of(free, "hybrid"), 1.5 * of(free, "coarse")) << field << ": else the test shows nothing";
  }
  const std::vector<double> share = map("loud");
  EXPECT_EQ(*std::max_element(share.begin(), share.end()), 1.0);
  EXPECT_GE(*std::min_element(share.begin(), share.end()), 0.0);
  const auto lines = read_metrics(scratch_ / "loud/metrics.jsonl", "fallback");
  ASSERT_FALSE(lines.empty());
  double sum = 0;
  for (const json& line : lines) sum += line["fallback_fraction"].get<double>();
  EXPECT_NEAR(sum / static_cast<double>(lines.size()), forecast_of["fallback_fraction"].get<double>(), 1e-12);
  forecast(loud, "ranks", 2);
  EXPECT_TRUE(datasets_of(scratch_ / "ranks/forecast.nc") == datasets_of(scratch_ / "loud/forecast.nc"));
}

TEST_F(GuardedForecast, AModelWithoutADistributionIsGuardedByItsBoundsAndThatIsSaid) {
  Model older = model_;
  older.distribution = {};
  const json forecast_of = forecast(older, "older", 1)["forecast"];
  EXPECT_LT(forecast_of["fallback_fraction"], 1e-3);
  EXPECT_NE(err_.find("bounds only"), std::string::npos) << err_;
  // Nothing tripped: then the guard changes no bit.
  const json free = forecast(older, "unguarded", 1, " --set guard.mode=off")["forecast"];
  EXPECT_TRUE(forecast_of["fallback_fraction"] > 0.0 || forecast_of["rmse"] == free["rmse"]);
}

}  // namespace
}  // namespace tramontane::testing
