/// From winds to a balanced state: stream function and height.
#pragma once

#include <vector>

#include "physics/elliptic/sphere_derivatives.hpp"

namespace tramontane {

/// Stream function (m2/s, area mean zero) of the rotational part of a wind (Cartesian, m/s, point values at the cell
/// centres): laplacian(psi) = vorticity. Needs a PetscSession; throws RunError when the solve fails.
std::vector<double> stream_function(const VectorField& wind, int n);

/// Height H (m) of the free surface that balances the wind v = k x grad(psi) in the nonlinear balance equation
///   laplacian(g H) = -div((zeta + f) k x v) - laplacian(|v|^2 / 2),   f = 2 Omega sin(latitude).
/// With k x v = -grad(psi) it is solved for the Bernoulli function B = g H + |v|^2 / 2:
///   laplacian(B) = (zeta + f) zeta + grad(zeta + f) . grad(psi),
/// so that the tendency of divergence vanishes. The area mean of H is `mean_height`. Source: Charney 1955, Tellus 7;
/// Lorenz 1960, Tellus 12. Fields of shape (6, n, n). Needs a PetscSession; throws RunError when the solve fails.
std::vector<double> balanced_height(const std::vector<double>& psi, int n, double mean_height);

}  // namespace tramontane
