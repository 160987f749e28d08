// What holds to round-off: constants, content, bits over ranks and tiles.
#include <gtest/gtest.h>

#include <cstring>

#include "tests/tracer/tracer_fixture.hpp"

namespace tramontane {
namespace {

using testing::range_of;
using testing::TracerFlow;

/// A jet that runs over a steep hill on a cube corner: waves everywhere, depth far from steady.
AnalyticCase over_hill() {
  AnalyticCase c = williamson2(0.6);
  c.orography = [](Vector3 r) {
    const Vector3 d = r - Vector3{0.6, 0.6, 0.5};
    return 900.0 * std::exp(-20.0 * dot(d, d));
  };
  const auto flow = c.state;
  const auto hill = c.orography;
  c.state = [flow, hill](Vector3 r) {
    PointState s = flow(r);
    s.depth -= hill(r);
    return s;
  };
  c.steady = false;
  return c;
}

double bell(Vector3 r) {
  const Vector3 d = r - normalised({1.0, 0.8, 0.7});
  return std::exp(-5.0 * dot(d, d));
}

TEST(Tracer, ConstantStaysConstantAndContentIsKept) {
  TracerFlow s(16, 1, over_hill(), {{"constant"}, {"bell"}});
  s.set(0, [](Vector3) { return 3.7; });
  s.set(1, bell);
  const double before[2] = {tracer_content(*s.solver, s.state, 0), tracer_content(*s.solver, s.state, 1)};
  const int steps = s.run(5 * 86400.0);
  const auto [least, most] = range_of(s.means(0));
  std::printf("    %d steps: constant %.2e %.2e, content drift %.2e %.2e\n", steps, least / 3.7 - 1, most / 3.7 - 1,
              tracer_content(*s.solver, s.state, 0) / before[0] - 1,
              tracer_content(*s.solver, s.state, 1) / before[1] - 1);
  // Round-off of a few hundred steps that each add one of about 2e-16.
  EXPECT_NEAR(least / 3.7, 1.0, 1e-13);
  EXPECT_NEAR(most / 3.7, 1.0, 1e-13);
  for (int t = 0; t < 2; ++t) EXPECT_NEAR(tracer_content(*s.solver, s.state, t) / before[t], 1.0, 1e-14);
}

}  // namespace
}  // namespace tramontane
