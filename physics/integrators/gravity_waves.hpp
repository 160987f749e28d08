/// Linear gravity waves about a frozen depth: what the semi-implicit integrator treats implicitly.
#pragma once

#include "physics/shallow_water.hpp"

namespace tramontane {

/// The operator L of
///   dE/dt = -(1/a) d_i M^i,   dM^i/dt = -(phi/a) sqrt_g G^ij d_j eta,   eta = E / sqrt_g,
/// with phi(x) a fluid geopotential that is kept fixed. Differences are centred and of sixth order, in flux form: the
/// mean of the left and the right state of the fifth-order upwind reconstruction is the same six-cell face value, so
/// that F - L holds no stiff remainder from other differences. With d_i(sqrt_g G^ij) = 0 the pressure force is a
/// difference of (exact face integral of sqrt_g G^ij) times (eta at the face), and a constant eta exerts none.
///
/// Variables of a State other than E and M are left alone. Ghost cells of the argument must be filled.
class GravityWaves {
 public:
  explicit GravityWaves(const ShallowWater& solver);

  /// Takes phi from a state, and the bound on the spectrum.
  void freeze(const ShallowWater& solver, const State& state);

  /// out.M <- a base.M + c L(state.E), a a pure number, c in seconds, interior cells. `base` may be `out`.
  void pressure_force(const State& out, double a, const State& base, double c, const State& state) const;
  /// out.E <- a base.E + c L(state.M).
  void divergence(const State& out, double a, const State& base, double c, const State& state) const;

  /// Bound on the square of the frequencies of L, s-2: largest phi (G^aa + G^bb + 2 |G^ab|) (k / (a spacing))^2 over
  /// all cells of all ranks, k = 1.5861 the largest modified wave number of the sixth-order difference.
  double largest_square() const { return largest_square_; }

 private:
  std::shared_ptr<const Grid> grid_;
  int levels_;
  View<Real****> phi_;  ///< (tile, level, j, i)
  /// Face integrals of sqrt_g G^nn and sqrt_g G^nt over the face value of mean sqrt_g, one panel: (row, face) across
  /// alpha, (face, column) across beta.
  View<Real**> alpha_normal_, alpha_tangential_, beta_normal_, beta_tangential_;
  double largest_square_ = 0;
};

}  // namespace tramontane
