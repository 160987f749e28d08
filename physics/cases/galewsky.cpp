#include "physics/cases/galewsky.hpp"

#include <algorithm>
#include <array>

namespace tramontane {

namespace {

constexpr double kJetSouth = std::numbers::pi / 7, kJetNorth = std::numbers::pi / 2 - kJetSouth;
constexpr double kPoleHeight = 10158.18617;  // m

double force(double latitude) {
  const double u = galewsky_wind(latitude);
  return u * (2 * kEarthRotation * std::sin(latitude) + std::tan(latitude) * u / kEarthRadius);
}

/// The integral of force over latitude from the jet's southern end, as a Chebyshev series on each of kPieces equal
/// pieces. The series of the integrand is exact to round-off: its essential singularities lie at the jet's ends, where
/// it is smaller than anything representable beside its peak, and many pieces away from where it is not.
class Balance {
 public:
  Balance() {
    double begin = 0.0;
    for (auto& piece : series_) {
      const double low = kJetSouth + static_cast<double>(&piece - series_.data()) * kWidth;
      std::array<double, kTerms> sample, integrand{};
      for (int k = 0; k < kTerms; ++k) sample[k] = force(low + 0.5 * kWidth * (1 + std::cos(angle(k))));
      for (int n = 0; n < kTerms; ++n)
        for (int k = 0; k < kTerms; ++k)
          integrand[n] += (n == 0 ? 1.0 : 2.0) / kTerms * sample[k] * std::cos(n * angle(k));
      // Integral of T_n: T_(n+1)/(2(n+1)) - T_(n-1)/(2(n-1)); T_0 counts twice.
      double at_begin = 0.0;
      for (int n = 1; n <= kTerms; ++n) {
        const double below = (n == 1 ? 2.0 : 1.0) * integrand[n - 1], above = n + 1 < kTerms ? integrand[n + 1] : 0.0;
        piece[n] = 0.5 * kWidth * (below - above) / (2 * n);
        at_begin += n % 2 == 0 ? piece[n] : -piece[n];
      }
      piece[0] = begin - at_begin;
      begin = value(piece, 1.0);
    }
  }

  double operator()(double latitude) const {
    if (latitude <= kJetSouth) return 0.0;
    const double position = (std::min(latitude, kJetNorth) - kJetSouth) / kWidth;
    const int piece = std::min(static_cast<int>(position), kPieces - 1);
    return value(series_[piece], 2 * (position - piece) - 1);
  }

 private:
  static constexpr int kPieces = 128, kTerms = 16;
  static constexpr double kWidth = (kJetNorth - kJetSouth) / kPieces;
  using Series = std::array<double, kTerms + 1>;

  static double angle(int k) { return std::numbers::pi * (k + 0.5) / kTerms; }
  /// Clenshaw's recurrence.
  static double value(const Series& c, double x) {
    double one = 0.0, two = 0.0;
    for (int n = kTerms; n > 0; --n) {
      const double next = 2 * x * one - two + c[n];
      two = one;
      one = next;
    }
    return x * one - two + c[0];
  }

  std::array<Series, kPieces> series_{};
};

}  // namespace

double galewsky_wind(double latitude) {
  constexpr double fastest = 80.0;
  if (latitude <= kJetSouth || latitude >= kJetNorth) return 0.0;
  // exp(-4 / (north - south)^2) normalises the jet's point of fastest wind to one.
  return fastest * std::exp(4.0 / ((kJetNorth - kJetSouth) * (kJetNorth - kJetSouth)) +
                            1.0 / ((latitude - kJetSouth) * (latitude - kJetNorth)));
}

double galewsky_height(double latitude) {
  static const Balance balance;
  return kPoleHeight - kEarthRadius / kGravity * balance(latitude);
}

AnalyticCase galewsky(bool perturbed) {
  AnalyticCase out;
  out.orography = [](Vector3) { return 0.0; };
  out.state = [perturbed](Vector3 r, double) {
    const double cosine = std::sqrt(r.x * r.x + r.y * r.y), latitude = std::atan2(r.z, cosine);
    PointState here{galewsky_height(latitude), galewsky_wind(latitude) * east_vector(r)};
    if (perturbed) {
      const double x = 3 * std::atan2(r.y, r.x), y = 15 * (kQuarterPi - latitude);
      here.depth += 120 * cosine * std::exp(-x * x - y * y);
    }
    return here;
  };
  out.reference_height = 10000.0;
  out.exact = !perturbed;
  out.steady = !perturbed;
  return out;
}

}  // namespace tramontane
