#include "physics/elliptic/ghost_interpolation.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/errors.hpp"
#include "physics/cubed_sphere.hpp"

namespace tramontane {

namespace {

constexpr int kPoints = 6;

/// Appends share * (Lagrange weights at position s among cell centres 0 .. n-1) for the cells first + k * stride.
void append_interpolation(std::vector<Term>& terms, double s, int n, int first, int stride, double share) {
  const int start = std::clamp(static_cast<int>(std::floor(s)) - (kPoints / 2 - 1), 0, n - kPoints);
  double weights[kPoints];
  double sum = 0;
  for (int k = 0; k < kPoints; ++k) {
    weights[k] = 1;
    for (int m = 0; m < kPoints; ++m)
      if (m != k) weights[k] *= (s - (start + m)) / (k - m);
    sum += weights[k];
  }
  for (int k = 0; k < kPoints; ++k) terms.push_back({first + (start + k) * stride, share * weights[k] / sum});
}

/// Appends the interpolation to direction r within panel `owner`.
void append_from_owner(std::vector<Term>& terms, Vector3 r, int owner, int n, double share) {
  const PanelPoint p = to_panel(r, owner);
  const double width = 2 * kQuarterPi / n;
  const double si = (p.alpha + kQuarterPi) / width - 0.5, sj = (p.beta + kQuarterPi) / width - 0.5;
  const int i = static_cast<int>(std::lround(si)), j = static_cast<int>(std::lround(sj));
  const int base = owner * n * n;
  const double off_i = std::abs(si - i), off_j = std::abs(sj - j);
  if (off_i <= off_j && i >= 0 && i < n)
    append_interpolation(terms, sj, n, base + i, n, share);
  else
    append_interpolation(terms, si, n, base + j * n, 1, share);
}

}  // namespace

GhostInterpolation::GhostInterpolation(int n, int depth) : n_(n), depth_(depth) {
  if (n < 8)
    throw InputError("grid.n = " + std::to_string(n) + " is too coarse for the elliptic solver: choose 8 or more");
  if (depth < 1 || depth > 3)
    throw InputError("a ghost depth of " + std::to_string(depth) + " is not supported: choose 1, 2 or 3");
  const double cell = 2 * kQuarterPi / n;
  offsets_.push_back(0);
  for (int panel = 0; panel < kPanels; ++panel)
    for (int j = -depth; j < n + depth; ++j)
      for (int i = -depth; i < n + depth; ++i) {
        if (i >= 0 && i < n && j >= 0 && j < n) {
          terms_.push_back({(panel * n + j) * n + i, 1.0});
        } else {
          const Vector3 r =
              to_cartesian(PanelPoint{panel, -kQuarterPi + (i + 0.5) * cell, -kQuarterPi + (j + 0.5) * cell});
          double best = 0;
          for (int q = 0; q < kPanels; ++q) best = std::max(best, dot(r, panel_axes(q).centre));
          std::vector<int> owners;
          for (int q = 0; q < kPanels; ++q)
            if (dot(r, panel_axes(q).centre) > best - 1e-10) owners.push_back(q);
          for (int q : owners) append_from_owner(terms_, r, q, n, 1.0 / static_cast<double>(owners.size()));
        }
        offsets_.push_back(static_cast<int>(terms_.size()));
      }
}

std::vector<Term> GhostInterpolation::terms(int panel, int j, int i) const {
  const int s = slot(panel, j, i);
  return {terms_.begin() + offsets_[s], terms_.begin() + offsets_[s + 1]};
}

std::vector<double> GhostInterpolation::pad(const std::vector<double>& field) const {
  std::vector<double> padded(offsets_.size() - 1);
  for (std::size_t s = 0; s < padded.size(); ++s) {
    double value = 0;
    for (int t = offsets_[s]; t < offsets_[s + 1]; ++t) value += terms_[t].weight * field[terms_[t].cell];
    padded[s] = value;
  }
  return padded;
}

}  // namespace tramontane
