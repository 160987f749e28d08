#include "physics/remap/conservative_remap.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/errors.hpp"
#include "physics/cubed_sphere.hpp"

namespace tramontane {

namespace {

constexpr double kPi = std::numbers::pi;

double wrap(double angle) {
  return std::remainder(angle, 2 * kPi);
}

/// The grid's bounds in radians.
struct Bounds {
  std::vector<double> lon, lat, z, tan_lat;  ///< z = sin(lat)

  explicit Bounds(const LatLonGrid& grid) {
    for (double degrees : grid.lon_bounds) lon.push_back(degrees * kPi / 180);
    for (double degrees : grid.lat_bounds) {
      lat.push_back(degrees * kPi / 180);
      z.push_back(std::sin(lat.back()));
      tan_lat.push_back(std::tan(lat.back()));
    }
    z.front() = -1;
    z.back() = 1;
  }
  int nlon() const { return static_cast<int>(lon.size()) - 1; }
  int nlat() const { return static_cast<int>(lat.size()) - 1; }

  int column(double longitude) const {
    double x = lon.front() + std::fmod(longitude - lon.front(), 2 * kPi);
    if (x < lon.front()) x += 2 * kPi;
    const int k = static_cast<int>(std::upper_bound(lon.begin(), lon.end(), x) - lon.begin()) - 1;
    return std::clamp(k, 0, nlon() - 1);
  }
  int band(double latitude) const {
    const int k = static_cast<int>(std::upper_bound(lat.begin(), lat.end(), latitude) - lat.begin()) - 1;
    return std::clamp(k, 0, nlat() - 1);
  }
};

/// A piece of a cell's boundary that lies within one grid cell: longitude gained along it, and the integral of z.
struct Piece {
  int column, band;
  double dlon, z_dlon;
};

/// Cuts longitudes from `begin` to `end` (either may be the larger; not wrapped) at the grid's meridians, adding the
/// cuts to `cuts`.
void cut_at_meridians(const Bounds& b, double begin, double end, std::vector<double>& cuts) {
  const double low = std::min(begin, end), high = std::max(begin, end);
  const int start = b.column(low);
  // Position of the next meridian east of `low`, on the branch of `low`.
  double x = low + std::max(0.0, wrap(b.lon[start + 1] - low));
  for (int k = start + 1; x < high;) {
    if (x > low) cuts.push_back(x);
    x += b.lon[k % b.nlon() + 1] - b.lon[k % b.nlon()];
    ++k;
  }
}

/// Pieces of the great-circle arc from p to q.
void add_arc(const Bounds& b, Vector3 p, Vector3 q, std::vector<double>& cuts, std::vector<Piece>& pieces) {
  const Vector3 normal = cross(p, q);
  // Along a meridian the longitude does not change, and with it the integral is zero.
  if (std::abs(normal.z) <= 1e-14 * length(normal)) return;
  const double lon_p = std::atan2(p.y, p.x), lon_q = lon_p + wrap(std::atan2(q.y, q.x) - lon_p);
  const double low = std::min(lon_p, lon_q), high = std::max(lon_p, lon_q);
  // tan(latitude) = steep cos(longitude - top)
  const double steep = std::hypot(normal.x, normal.y) / std::abs(normal.z);
  const double top = normal.z > 0 ? std::atan2(-normal.y, -normal.x) : std::atan2(normal.y, normal.x);
  auto tan_latitude = [&](double lon) { return -(normal.x * std::cos(lon) + normal.y * std::sin(lon)) / normal.z; };

  cuts.assign({low, high});
  cut_at_meridians(b, low, high, cuts);
  const double turn = low + std::fmod(std::fmod(top - low, kPi) + kPi, kPi);  // highest or lowest latitude
  double t_low = std::min(tan_latitude(low), tan_latitude(high)),
         t_high = std::max(tan_latitude(low), tan_latitude(high));
  if (turn < high) {
    t_low = std::min(t_low, tan_latitude(turn));
    t_high = std::max(t_high, tan_latitude(turn));
  }
  for (int k = b.band(std::atan(t_low)); k <= b.band(std::atan(t_high)); ++k) {
    const double ratio = k == 0 ? 2 : b.tan_lat[k] / steep;
    if (std::abs(ratio) > 1) continue;
    for (double sign : {-1.0, 1.0}) {
      const double at = low + wrap(top + sign * std::acos(ratio) - low);
      if (at > low && at < high) cuts.push_back(at);
    }
  }
  std::sort(cuts.begin(), cuts.end());

  const double direction = lon_q > lon_p ? 1 : -1;
  for (std::size_t k = 0; k + 1 < cuts.size(); ++k) {
    const double dlon = cuts[k + 1] - cuts[k];
    if (dlon <= 0) continue;
    const double middle = 0.5 * (cuts[k] + cuts[k + 1]);
    auto tan_half = [&](double lon) {
      const double t = tan_latitude(lon);
      return t / (1 + std::sqrt(1 + t * t));
    };
    // Area between the arc and the equator: Bevis and Cambareri 1987, Math. Geology 19.
    const double a = tan_half(cuts[k]), c = tan_half(cuts[k + 1]);
    const double below = 2 * std::atan(std::tan(0.5 * dlon) * (a + c) / (1 + a * c));
    pieces.push_back({b.column(middle), b.band(std::atan(tan_latitude(middle))), direction * dlon, direction * below});
  }
}

/// Pieces along a pole (z = 1 or -1) over `turn` radians of longitude from `begin`.
void add_pole(const Bounds& b, double z, double begin, double turn, std::vector<double>& cuts,
              std::vector<Piece>& pieces) {
  cuts.assign({begin, begin + turn});
  cut_at_meridians(b, begin, begin + turn, cuts);
  std::sort(cuts.begin(), cuts.end());
  const double direction = turn > 0 ? 1 : -1;
  for (std::size_t k = 0; k + 1 < cuts.size(); ++k) {
    const double dlon = direction * (cuts[k + 1] - cuts[k]);
    if (dlon != 0)
      pieces.push_back({b.column(0.5 * (cuts[k] + cuts[k + 1])), z > 0 ? b.nlat() - 1 : 0, dlon, z * dlon});
  }
}

bool is_pole(Vector3 r) {
  return std::hypot(r.x, r.y) < 1e-12;
}

/// Boundary of a cell, whose corners run counterclockwise seen from outside, in pieces.
void boundary_pieces(const Bounds& b, const Vector3 (&corner)[4], std::vector<double>& cuts,
                     std::vector<Piece>& pieces) {
  pieces.clear();
  double winding = 0;
  bool pole_on_boundary = false;
  for (int k = 0; k < 4; ++k) {
    const Vector3 p = corner[k], q = corner[(k + 1) % 4];
    if (is_pole(p)) {
      const Vector3 before = corner[(k + 3) % 4];
      const double begin = std::atan2(before.y, before.x);
      add_pole(b, p.z > 0 ? 1 : -1, begin, wrap(std::atan2(q.y, q.x) - begin), cuts, pieces);
      pole_on_boundary = true;
    } else if (!is_pole(q)) {
      add_arc(b, p, q, cuts, pieces);
      winding += wrap(std::atan2(q.y, q.x) - std::atan2(p.y, p.x));
    }
  }
  if (!pole_on_boundary && std::abs(winding) > kPi) {
    const double begin = std::atan2(corner[0].y, corner[0].x);
    add_pole(b, corner[0].z > 0 ? 1 : -1, begin, corner[0].z > 0 ? -2 * kPi : 2 * kPi, cuts, pieces);
  }
}

/// Sums the pieces into the overlap area of every grid cell of the box they span (band, then column order).
void overlap_areas(const Bounds& b, const std::vector<Piece>& pieces, std::vector<int>& columns,
                   std::vector<double>& areas) {
  std::vector<int> seen;
  int band_low = b.nlat(), band_high = -1;
  for (const Piece& piece : pieces) {
    seen.push_back(piece.column);
    band_low = std::min(band_low, piece.band);
    band_high = std::max(band_high, piece.band);
  }
  std::sort(seen.begin(), seen.end());
  seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
  const int bands = band_high - band_low + 1;
  std::vector<double> box(seen.size() * bands, 0.0);
  for (const Piece& piece : pieces) {
    const std::size_t c = std::lower_bound(seen.begin(), seen.end(), piece.column) - seen.begin();
    // What lies below the piece: all of the bands under its own (from band_low on: lower ones cancel between the
    // cell's lower and upper boundary), and of its own band the part up to it.
    for (int k = band_low; k < piece.band; ++k)
      box[(k - band_low) * seen.size() + c] -= (b.z[k + 1] - b.z[k]) * piece.dlon;
    box[(piece.band - band_low) * seen.size() + c] -= piece.z_dlon - b.z[piece.band] * piece.dlon;
  }
  for (int k = 0; k < bands; ++k)
    for (std::size_t c = 0; c < seen.size(); ++c)
      // Cells of the box that do not overlap get what rounding left of zero.
      if (const double area = box[k * seen.size() + c]; area > 1e-16) {
        columns.push_back((band_low + k) * b.nlon() + seen[c]);
        areas.push_back(area);
      }
}

}  // namespace

ConservativeRemap::ConservativeRemap(LatLonGrid grid, int n) : grid_(std::move(grid)), n_(n) {
  if (n < 1) throw InputError(fmt::format("a cubed sphere of {} cells per edge has no cells to remap", n));
  const Bounds bounds(grid_);
  // Multiples of one unit, so that the middle line of a panel is exactly zero and meets the pole exactly.
  auto edge = [n](int k) { return (2 * k - n) * (kQuarterPi / n); };
  std::vector<double> cuts;
  std::vector<Piece> pieces;
  offsets_.push_back(0);
  for (int panel = 0; panel < kPanels; ++panel)
    for (int j = 0; j < n; ++j)
      for (int i = 0; i < n; ++i) {
        const Vector3 corner[4] = {to_cartesian(PanelPoint{panel, edge(i), edge(j)}),
                                   to_cartesian(PanelPoint{panel, edge(i + 1), edge(j)}),
                                   to_cartesian(PanelPoint{panel, edge(i + 1), edge(j + 1)}),
                                   to_cartesian(PanelPoint{panel, edge(i), edge(j + 1)})};
        boundary_pieces(bounds, corner, cuts, pieces);
        overlap_areas(bounds, pieces, columns_, areas_);
        offsets_.push_back(static_cast<int>(areas_.size()));
      }
}

std::vector<double> ConservativeRemap::to_cubed_sphere(const std::vector<double>& field) const {
  if (static_cast<int>(field.size()) != grid_.size())
    throw InputError(
        fmt::format("a field of {} values does not fit a grid of {} x {}", field.size(), grid_.nlat(), grid_.nlon()));
  std::vector<double> out(offsets_.size() - 1);
  for (std::size_t c = 0; c < out.size(); ++c) {
    double sum = 0, total = 0;
    for (int k = offsets_[c]; k < offsets_[c + 1]; ++k) {
      sum += areas_[k] * field[columns_[k]];
      total += areas_[k];
    }
    out[c] = sum / total;
  }
  return out;
}

std::vector<double> ConservativeRemap::to_latlon(const std::vector<double>& field) const {
  if (field.size() + 1 != offsets_.size())
    throw InputError(
        fmt::format("a field of {} values does not fit a cubed sphere of {} cells per edge", field.size(), n_));
  std::vector<double> sum(grid_.size(), 0.0), total(grid_.size(), 0.0);
  for (std::size_t c = 0; c < field.size(); ++c)
    for (int k = offsets_[c]; k < offsets_[c + 1]; ++k) {
      sum[columns_[k]] += areas_[k] * field[c];
      total[columns_[k]] += areas_[k];
    }
  for (std::size_t g = 0; g < sum.size(); ++g) sum[g] /= total[g];
  return sum;
}

}  // namespace tramontane
