/// Rossby-Haurwitz wave of wavenumber 4: test case 6 of Williamson et al. 1992, J. Comput. Phys. 102 (after Phillips
/// 1959, Mon. Wea. Rev. 87).
#pragma once

#include "physics/initial_state.hpp"

namespace tramontane {

/// The stream function a^2 (-omega sin(lat) + K cos^4(lat) sin(lat) cos(4 lon)), omega = K = 7.848e-6 s-1, and the
/// height that balances it without divergence, 8000 m at the poles (eqs. 140-149). An exact solution of the
/// nondivergent equations, not of these. Values are polynomials of the direction, so that poles are ordinary points and
/// a quarter turn of longitude changes no bit.
AnalyticCase williamson6();

}  // namespace tramontane
