#include "physics/elliptic/sphere_derivatives.hpp"

namespace tramontane {

namespace {

constexpr int kDepth = 2;

/// Fourth-order first derivative per cell width: p points at the centre, `stride` apart.
double difference(const double* p, int stride) {
  return ((p[-2 * stride] - p[2 * stride]) + 8 * (p[stride] - p[-stride])) / 12;
}

}  // namespace

std::vector<double> cell_areas(int n) {
  std::vector<double> areas;
  areas.reserve(static_cast<std::size_t>(kPanels) * n * n);
  // Angles as multiples of one unit, so that opposite edges are exact mirror images.
  auto edge = [n](int k) { return (2 * k - n) * (kQuarterPi / n); };
  for (int panel = 0; panel < kPanels; ++panel)
    for (int j = 0; j < n; ++j)
      for (int i = 0; i < n; ++i) areas.push_back(cell_solid_angle(edge(i), edge(i + 1), edge(j), edge(j + 1)));
  return areas;
}

double area_mean(const std::vector<double>& field, int n) {
  const std::vector<double> areas = cell_areas(n);
  double sum = 0, total = 0;
  for (std::size_t c = 0; c < field.size(); ++c) {
    sum += areas[c] * field[c];
    total += areas[c];
  }
  return sum / total;
}

SphereDerivatives::SphereDerivatives(int n, double radius) : ghosts_(n, kDepth), radius_(radius) {}

VectorField SphereDerivatives::gradient(const std::vector<double>& field) const {
  const std::vector<double> f = ghosts_.pad(field);
  const int cells = n(), width = ghosts_.width();
  const double scale = cells / (2 * kQuarterPi * radius_);
  VectorField out;
  for (auto& component : out) component.reserve(field.size());
  for (int panel = 0; panel < kPanels; ++panel)
    for (int j = 0; j < cells; ++j)
      for (int i = 0; i < cells; ++i) {
        const double* p = &f[(panel * width + j + kDepth) * width + i + kDepth];
        const PanelPoint centre = cell_centre(cells, panel, j, i);
        const double fa = scale * difference(p, 1), fb = scale * difference(p, width);
        const Metric m = metric_at(std::tan(centre.alpha), std::tan(centre.beta));
        const Vector3 g = to_vector(Contravariant{m.h_aa * fa + m.h_ab * fb, m.h_ab * fa + m.h_bb * fb}, centre);
        out[0].push_back(g.x);
        out[1].push_back(g.y);
        out[2].push_back(g.z);
      }
  return out;
}

namespace {

/// (d(first)/d(alpha) + d(second)/d(beta)) / (radius sqrt_g), where part(v, point, sqrt_g) gives the pair (first,
/// second).
template <class Part>
std::vector<double> flux_difference(const GhostInterpolation& ghosts, const VectorField& v, double radius,
                                    const Part& part) {
  const int n = ghosts.n(), width = ghosts.width();
  const std::vector<double> x = ghosts.pad(v[0]), y = ghosts.pad(v[1]), z = ghosts.pad(v[2]);
  std::vector<double> first(x.size()), second(x.size());
  for (int panel = 0, s = 0; panel < kPanels; ++panel)
    for (int j = -kDepth; j < n + kDepth; ++j)
      for (int i = -kDepth; i < n + kDepth; ++i, ++s) {
        const auto [a, b] = part(Vector3{x[s], y[s], z[s]}, cell_centre(n, panel, j, i));
        first[s] = a;
        second[s] = b;
      }
  const double scale = n / (2 * kQuarterPi * radius);
  std::vector<double> out;
  out.reserve(v[0].size());
  for (int panel = 0; panel < kPanels; ++panel)
    for (int j = 0; j < n; ++j)
      for (int i = 0; i < n; ++i) {
        const int s = (panel * width + j + kDepth) * width + i + kDepth;
        const PanelPoint centre = cell_centre(n, panel, j, i);
        const double sqrt_g = metric_at(std::tan(centre.alpha), std::tan(centre.beta)).sqrt_g;
        out.push_back(scale * (difference(&first[s], 1) + difference(&second[s], width)) / sqrt_g);
      }
  return out;
}

}  // namespace

std::vector<double> SphereDerivatives::vorticity(const VectorField& v) const {
  return flux_difference(ghosts_, v, radius_, [](Vector3 u, PanelPoint p) {
    const Basis b = basis_at(p);
    return std::pair{dot(u, b.beta), -dot(u, b.alpha)};
  });
}

std::vector<double> SphereDerivatives::divergence(const VectorField& v) const {
  return flux_difference(ghosts_, v, radius_, [](Vector3 u, PanelPoint p) {
    const Contravariant c = to_contravariant(u, p);
    const double sqrt_g = metric_at(std::tan(p.alpha), std::tan(p.beta)).sqrt_g;
    return std::pair{sqrt_g * c.alpha, sqrt_g * c.beta};
  });
}

VectorField SphereDerivatives::rotational_wind(const std::vector<double>& stream_function) const {
  VectorField g = gradient(stream_function);
  const int cells = n();
  std::size_t c = 0;
  for (int panel = 0; panel < kPanels; ++panel)
    for (int j = 0; j < cells; ++j)
      for (int i = 0; i < cells; ++i, ++c) {
        const Vector3 wind = cross(to_cartesian(cell_centre(cells, panel, j, i)), Vector3{g[0][c], g[1][c], g[2][c]});
        g[0][c] = wind.x;
        g[1][c] = wind.y;
        g[2][c] = wind.z;
      }
  return g;
}

}  // namespace tramontane
