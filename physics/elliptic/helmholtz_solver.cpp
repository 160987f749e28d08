#include "physics/elliptic/helmholtz_solver.hpp"

#include <fmt/format.h>

#include <cctype>
#include <cmath>
#include <exception>
#include <sstream>
#include <utility>

#include "kernels/precision.hpp"
#include "physics/elliptic/helmholtz_matrix.hpp"
#include "physics/elliptic/petsc_handles.hpp"

namespace tramontane {

using petsc::check;

namespace {

constexpr const char* kPrefix = "helmholtz_";

/// Residual relative to the right-hand side that a product's own rounding leaves: about 45 of a number's spacings.
constexpr double kRoundOff = 1e-14 * kCoarseness;

PetscErrorCode multiply(Mat shell, Vec x, Vec y);

}  // namespace

struct HelmholtzSolver::Impl {
  const std::shared_ptr<const Grid> grid;
  const MPI_Comm comm;
  const int levels;
  const double reference;
  const View<Real***> bottom;
  const HelmholtzOptions options;
  State argument, product;
  View<double*> values;  ///< interior cells in PETSc's order (tile, level, j, i)
  Kokkos::View<double*, HostSpace> values_host;
  petsc::Matrix shell, matrix;
  petsc::Solver ksp;
  petsc::Vector rhs, correction, residual;
  const Operator* apply = nullptr;
  double assembled_for = -1;
  std::exception_ptr failure;
  int iterations = 0;
  long total = 0;

  Impl(const ShallowWater& solver, HelmholtzOptions given)
      : grid(solver.shared_grid()),
        comm(solver.comm()),
        levels(solver.levels()),
        reference(solver.reference()),
        bottom(solver.bottom()),
        options(std::move(given)),
        argument(solver.make_state("argument of the Helmholtz operator")),
        product(solver.make_state("product of the Helmholtz operator")) {
    const std::size_t count = static_cast<std::size_t>(grid->tile_count()) * levels * grid->tiling().cells_per_tile();
    values = View<double*>("cells in PETSc's order", count);
    values_host = Kokkos::create_mirror_view(values);
    const PetscInt local = static_cast<PetscInt>(count);
    Mat s = nullptr;
    check(MatCreateShell(comm, local, local, PETSC_DETERMINE, PETSC_DETERMINE, this, &s), "create a shell matrix");
    shell.reset(s);
    check(MatShellSetOperation(s, MATOP_MULT, reinterpret_cast<void (*)()>(multiply)), "set a shell matrix up");
    Vec v = nullptr;
    check(MatCreateVecs(s, &v, nullptr), "create a vector");
    rhs.reset(v);
    check(VecDuplicate(v, &v), "create a vector");
    correction.reset(v);
    check(VecDuplicate(v, &v), "create a vector");
    residual.reset(v);
    prepare_solver();
  }

  /// Takes the options that came with this solver out of PETSc's table, which is one for the whole program.
  ~Impl() {
    std::istringstream words(options.petsc_options);
    for (std::string word; words >> word;)
      if (word.size() > 1 && word[0] == '-' && std::isalpha(static_cast<unsigned char>(word[1])))
        PetscOptionsClearValue(nullptr, (std::string("-") + kPrefix + word.substr(1)).c_str());
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  bool chebyshev() const { return options.solver == "chebyshev"; }
  bool assembled() const { return options.preconditioner != "none"; }

  void prepare_solver() {
    if (chebyshev() && assembled())
      throw InputError(
          fmt::format("the Helmholtz solver chebyshev rests on the operator's own spectrum and goes with no "
                      "preconditioner: set physics.helmholtz.preconditioner to none instead of {}, or the solver to "
                      "fgmres",
                      options.preconditioner));
    KSP k = nullptr;
    check(KSPCreate(comm, &k), "create a solver");
    ksp.reset(k);
    check(KSPSetOptionsPrefix(k, kPrefix), "set an options prefix");
    if (KSPSetType(k, options.solver.c_str()))
      throw InputError(
          fmt::format("PETSc has no solver '{}': set physics.helmholtz.solver to one that it has", options.solver));
    PC pc = nullptr;
    check(KSPGetPC(k, &pc), "set a preconditioner up");
    if (PCSetType(pc, options.preconditioner.c_str()))
      throw InputError(
          fmt::format("PETSc has no preconditioner '{}': set physics.helmholtz.preconditioner to one that it has",
                      options.preconditioner));
    if (assembled()) matrix = helmholtz_matrix(*grid, comm, levels);
    check(KSPSetOperators(k, shell.get(), assembled() ? matrix.get() : shell.get()), "set a solver up");
    check(KSPSetTolerances(k, options.tolerance, PETSC_DEFAULT, PETSC_DEFAULT, options.iterations), "set tolerances");
    if (chebyshev()) check(KSPSetNormType(k, KSP_NORM_NONE), "leave out norms");
    if (options.preconditioner == "gamg") {
      // Bounds that Chebyshev smoothers estimate are off on a matrix whose even and odd cells hardly know each other.
      petsc::set_default("-helmholtz_mg_levels_ksp_type", "richardson");
      petsc::set_default("-helmholtz_mg_levels_pc_type", "sor");
    }
    check(PetscOptionsPrefixPush(nullptr, kPrefix), "read options");
    check(PetscOptionsInsertString(nullptr, options.petsc_options.c_str()), "read physics.helmholtz.petsc_options");
    check(PetscOptionsPrefixPop(nullptr), "read options");
    check(KSPSetFromOptions(k), "read its options");
  }

  void to_vector(Vec v, const State& field) const {
    const int size = grid->tile_cells(), n_levels = levels;
    const auto flat = values;
    Kokkos::parallel_for(
        "to PETSc", Kokkos::RangePolicy<ExecutionSpace>(0, flat.extent(0)), KOKKOS_LAMBDA(int k) {
          flat(k) = field(k / (size * size * n_levels), k / (size * size) % n_levels, 0, k / size % size + kHalo,
                          k % size + kHalo);
        });
    Kokkos::deep_copy(values_host, flat);
    double* to = nullptr;
    check(VecGetArrayWrite(v, &to), "open a vector");
    std::copy_n(values_host.data(), values_host.extent(0), to);
    check(VecRestoreArrayWrite(v, &to), "close a vector");
  }

  /// field.E <- base.E + v; `base` may be `field`, and is left out when empty.
  void from_vector(const State& field, Vec v, bool add) const {
    const double* from = nullptr;
    check(VecGetArrayRead(v, &from), "open a vector");
    std::copy_n(from, values_host.extent(0), values_host.data());
    check(VecRestoreArrayRead(v, &from), "close a vector");
    Kokkos::deep_copy(values, values_host);
    const int size = grid->tile_cells(), n_levels = levels;
    const auto flat = values;
    Kokkos::parallel_for(
        "from PETSc", Kokkos::RangePolicy<ExecutionSpace>(0, flat.extent(0)), KOKKOS_LAMBDA(int k) {
          Real& to = field(k / (size * size * n_levels), k / (size * size) % n_levels, 0, k / size % size + kHalo,
                           k % size + kHalo);
          to = (add ? to : 0.0) + flat(k);
        });
  }

  double norm(Vec v) const {
    double value = 0;
    check(VecNorm(v, NORM_2, &value), "take a norm");
    return value;
  }
};

namespace {

PetscErrorCode multiply(Mat shell, Vec x, Vec y) {
  void* context = nullptr;
  const PetscErrorCode code = MatShellGetContext(shell, &context);
  if (code) return code;
  auto& impl = *static_cast<HelmholtzSolver::Impl*>(context);
  try {  // PETSc's frames are C: an error waits outside them
    impl.from_vector(impl.argument, x, false);
    (*impl.apply)(impl.product, impl.argument);
    impl.to_vector(y, impl.product);
  } catch (...) {
    impl.failure = std::current_exception();
    return PETSC_ERR_LIB;
  }
  return 0;
}

/// Share by which the spectrum may lie outside its bounds.
constexpr double kSlack = 0.03;

/// Iterations after which the Chebyshev polynomial on [1, ratio] has shrunk any error below `tolerance`.
int chebyshev_iterations(double ratio, double tolerance) {
  const double root = std::sqrt(ratio);
  if (root - 1 < 1e-8) return 1;
  return std::max(1, static_cast<int>(std::ceil(std::log(tolerance / 2) / std::log((root - 1) / (root + 1)))));
}

}  // namespace

HelmholtzSolver::HelmholtzSolver(const ShallowWater& solver, HelmholtzOptions options)
    : impl_(std::make_unique<Impl>(solver, std::move(options))) {}
HelmholtzSolver::~HelmholtzSolver() = default;

int HelmholtzSolver::last_iterations() const {
  return impl_->iterations;
}
long HelmholtzSolver::total_iterations() const {
  return impl_->total;
}

void HelmholtzSolver::solve(const State& x, const State& b, double s, double largest_square, const Operator& apply) {
  Impl& m = *impl_;
  m.apply = &apply;
  // What is solved for is the correction of the first guess, so that tolerances are relative to its residual.
  m.to_vector(m.rhs.get(), b);
  const double size = m.norm(m.rhs.get());
  apply(m.product, x);
  m.to_vector(m.residual.get(), m.product);
  check(VecAYPX(m.residual.get(), -1.0, m.rhs.get()), "form a residual");
  const double first = m.norm(m.residual.get());
  if (!std::isfinite(first)) return;  // the state is: the run's own check names the place
  const double round_off = kRoundOff * size;
  if (m.chebyshev()) {
    // Ghost cells move the spectrum off its bounds by a little, in proportion to its width.
    const double width = s * s * largest_square, slack = kSlack * width / (1 + width);
    const double smallest = 1 - slack, largest = 1 + (1 + kSlack) * width;
    const int count = chebyshev_iterations(largest / smallest, m.options.tolerance);
    if (count > m.options.iterations)
      throw RunError(
          fmt::format("the Helmholtz problem of the semi-implicit step needs {} Chebyshev iterations for a residual of "
                      "{:.1e}: raise physics.helmholtz.iterations from {}, or lower the time step",
                      count, m.options.tolerance, m.options.iterations));
    check(KSPChebyshevSetEigenvalues(m.ksp.get(), largest, smallest), "set a spectrum");
    check(KSPSetTolerances(m.ksp.get(), m.options.tolerance, 0.0, PETSC_DEFAULT, count), "set tolerances");
  } else {
    if (m.assembled() && s != m.assembled_for) {
      fill_helmholtz_matrix(m.matrix.get(), *m.grid, m.levels, m.reference, m.bottom, s);
      m.assembled_for = s;
    }
    double tolerance = 0, divergence = 0;  // PETSc's own options may have set them
    PetscInt most = 0;
    check(KSPGetTolerances(m.ksp.get(), &tolerance, nullptr, &divergence, &most), "give tolerances");
    check(KSPSetTolerances(m.ksp.get(), tolerance, round_off, divergence, most), "set tolerances");
  }
  check(VecSet(m.correction.get(), 0), "clear a vector");
  const PetscErrorCode code = KSPSolve(m.ksp.get(), m.residual.get(), m.correction.get());
  if (m.failure) std::rethrow_exception(std::exchange(m.failure, nullptr));
  check(code, "solve");
  KSPConvergedReason reason = KSP_CONVERGED_ITERATING;
  PetscInt iterations = 0;
  check(KSPGetConvergedReason(m.ksp.get(), &reason), "give its reason");
  check(KSPGetIterationNumber(m.ksp.get(), &iterations), "count iterations");
  m.iterations = static_cast<int>(iterations);
  m.total += iterations;
  m.from_vector(x, m.correction.get(), true);

  double left = 0;
  bool converged = reason > 0;
  if (m.chebyshev()) {  // it knows no residual; one more product tells
    check(MatMult(m.shell.get(), m.correction.get(), m.rhs.get()), "multiply");
    check(VecAXPY(m.rhs.get(), -1.0, m.residual.get()), "form a residual");
    left = m.norm(m.rhs.get());
    // The spectrum's bound holds up to the slight non-normality of the ghost cells: hence the factor.
    converged = left <= 10 * m.options.tolerance * first + round_off;
  } else if (!converged) {
    check(KSPGetResidualNorm(m.ksp.get(), &left), "give a residual");
  }
  if (!converged)
    throw RunError(
        fmt::format("the Helmholtz problem of the semi-implicit step did not converge: {} iterations of {} brought the "
                    "residual from {:.2e} to {:.2e} ({}), asked was a factor of {:.1e}; lower the time step, raise "
                    "physics.helmholtz.iterations, or choose another physics.helmholtz.solver",
                    iterations, m.options.solver, first, left, KSPConvergedReasons[reason], m.options.tolerance));
}

}  // namespace tramontane
