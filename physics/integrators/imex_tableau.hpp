/// Butcher tableau of the implicit-explicit Runge-Kutta scheme of the semi-implicit integrator.
#pragma once

namespace tramontane {

/// ARK3(2)4L[2]SA of Kennedy and Carpenter 2003, Appl. Numer. Math. 44, 139-181, appendix C: four stages, the first one
/// explicit, third order for both parts and together, the implicit part L-stable, and, what counts here, one b for
/// both parts.
struct Ark324 {
  static constexpr int stages = 4;
  static constexpr double gamma = 1767732205903.0 / 4055673282236.0;  ///< diagonal of the implicit part
  static constexpr double explicit_part[stages][stages] = {
      {},
      {1767732205903.0 / 2027836641118.0},
      {5535828885825.0 / 10492691773637.0, 788022342437.0 / 10882634858940.0},
      {6485989280629.0 / 16251701735622.0, -4246266847089.0 / 9704473918619.0, 10755448449292.0 / 10357097424841.0}};
  static constexpr double implicit_part[stages][stages] = {
      {},
      {gamma},
      {2746238789719.0 / 10658868560708.0, -640167445237.0 / 6845629431997.0},
      {1471266399579.0 / 7840856788654.0, -4482444167858.0 / 7529745528177.0, 11266239266428.0 / 11593286722821.0}};
  static constexpr double b[stages] = {1471266399579.0 / 7840856788654.0, -4482444167858.0 / 7529745528177.0,
                                       11266239266428.0 / 11593286722821.0, gamma};
};

}  // namespace tramontane
