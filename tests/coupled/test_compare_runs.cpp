// scripts/compare_runs.py on the files of real runs.
#include <gtest/gtest.h>

#include <cstdlib>

#include "job.hpp"
#include "tests/precision.hpp"

namespace tramontane::testing {
namespace {

TEST(CompareRuns, AgreesWithTheExactErrorsAndRefusesWhatDoesNotNest) {
  if (std::system("/usr/bin/python3 -c 'import h5py, numpy' 2>/dev/null") != 0)
    GTEST_SKIP() << "/usr/bin/python3 has no h5py: scripts/bootstrap installs it";
  const Scratch scratch("compare-runs");
  const std::string deck = scratch.write("deck.yaml",
                                         "initial: {case: williamson2, alpha_deg: 45}\n"
                                         "time: {days: 0.5}\n"
                                         "surrogate: {kind: none}\n"
                                         "output: {every: 12h, latlon: 0, plots: false}\n");
  for (const char* n : {"12", "18", "24"}) {
    const Job job = run_job(scratch, n, 1, "run " + deck + " --set grid.n=" + n + " --set output.dir=" + (scratch / n));
    ASSERT_EQ(job.code, 0) << job.err;
  }
  const auto compare = [&](const std::string& fine, const std::string& coarse, const std::string& options) {
    const std::string command = std::string(TRAMONTANE_SOURCE_DIR) + "/scripts/compare_runs.py " +
                                (scratch / (fine + "/solver.nc")) + " " + (scratch / (coarse + "/solver.nc")) +
                                options + " > " + (scratch / "out.json") + " 2> " + (scratch / "compare.err");
    return std::system(command.c_str());
  };
  ASSERT_EQ(compare("24", "12", ""), 0) << read_text(scratch / "compare.err");
  const nlohmann::json found = read_json(scratch / "out.json");
  const nlohmann::json exact = read_json(scratch / "12/summary.json")["solver"]["errors"];
  EXPECT_EQ(found["coarse_n"], 12);
  EXPECT_EQ(found["hours"], 12.0);
  // The case is steady, so the errors of C12 are known, and C24 has a thirtieth of them at fifth order.
  for (const char* field : {"h", "speed"})
    for (const char* norm : {"l1", "l2", "linf"})
      EXPECT_NEAR(found[field][norm].get<double>() / exact[field][norm].get<double>(), 1.0, 0.1)
          << field << " " << norm;
  // At the start both files hold means of one analytic state: what nests exactly differs by the quadrature's error.
  ASSERT_EQ(compare("24", "12", " --hours 0"), 0) << read_text(scratch / "compare.err");
  const nlohmann::json start = read_json(scratch / "out.json");
  EXPECT_LT(start["h"]["linf"].get<double>(), error_bound(1e-10, 4));
  EXPECT_LT(start["speed"]["linf"].get<double>(), error_bound(1e-10, 4));

  EXPECT_NE(compare("18", "12", ""), 0);
  EXPECT_NE(read_text(scratch / "compare.err").find("C12 does not nest in C18"), std::string::npos);
}

}  // namespace
}  // namespace tramontane::testing
