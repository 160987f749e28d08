#include "physics/data/missing_values.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/errors.hpp"

namespace tramontane {

int fill_missing(std::vector<double>& field, const std::vector<bool>& missing, int nlat, int nlon) {
  std::vector<int> holes;
  double low = INFINITY, high = -INFINITY;
  for (int k = 0; k < nlat * nlon; ++k) {
    if (missing[k]) {
      holes.push_back(k);
    } else {
      low = std::min(low, field[k]);
      high = std::max(high, field[k]);
    }
  }
  if (holes.empty()) return 0;
  if (static_cast<int>(holes.size()) == nlat * nlon) throw InputError("all values of the field are missing");

  // Sum and number of the neighbours of cell k that satisfy `counts`.
  auto neighbours = [&](int k, const auto& counts) {
    const int j = k / nlon, i = k % nlon;
    double sum = 0;
    int number = 0;
    auto add = [&](int cell) {
      if (!counts(cell)) return;
      sum += field[cell];
      ++number;
    };
    add(j * nlon + (i + nlon - 1) % nlon);
    add(j * nlon + (i + 1) % nlon);
    if (j > 0) add(k - nlon);
    if (j + 1 < nlat) add(k + nlon);
    return std::pair{sum, number};
  };

  std::vector<bool> unknown = missing;
  for (std::vector<int> rest = holes; !rest.empty();) {
    std::vector<int> filled, later;
    std::vector<double> values;
    for (int k : rest) {
      const auto [sum, number] = neighbours(k, [&](int cell) { return !unknown[cell]; });
      if (number > 0) {
        filled.push_back(k);
        values.push_back(sum / number);
      } else {
        later.push_back(k);
      }
    }
    for (std::size_t m = 0; m < filled.size(); ++m) {
      field[filled[m]] = values[m];
      unknown[filled[m]] = false;
    }
    rest = std::move(later);
  }

  constexpr double relaxation = 1.8;
  const double enough = 1e-10 * (high - low);
  for (int sweep = 0; sweep < 20000; ++sweep) {
    double change = 0;
    for (int k : holes) {
      const auto [sum, number] = neighbours(k, [](int) { return true; });
      const double step = relaxation * (sum / number - field[k]);
      field[k] += step;
      change = std::max(change, std::abs(step));
    }
    if (change <= enough) break;
  }
  return static_cast<int>(holes.size());
}

}  // namespace tramontane
