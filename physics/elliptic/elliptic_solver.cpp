#include "physics/elliptic/elliptic_solver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/errors.hpp"
#include "physics/elliptic/ghost_interpolation.hpp"
#include "physics/elliptic/petsc_handles.hpp"
#include "physics/elliptic/sphere_derivatives.hpp"

namespace tramontane {

using petsc::check;

namespace {

constexpr int kDepth = 2;
constexpr double kTolerance = 1e-12;

/// Fourth-order weights of the first and second derivative on unit spacing, offsets -2 .. 2.
constexpr double kFirst[5] = {1.0 / 12, -8.0 / 12, 0, 8.0 / 12, -1.0 / 12};
constexpr double kSecond[5] = {-1.0 / 12, 16.0 / 12, -30.0 / 12, 16.0 / 12, -1.0 / 12};

/// Row of the unit-sphere Laplacian at a cell: terms merged by cell.
std::vector<Term> laplacian_row(const GhostInterpolation& ghosts, int panel, int j, int i) {
  const int n = ghosts.n();
  const PanelPoint p = cell_centre(n, panel, j, i);
  const Metric m = metric_at(std::tan(p.alpha), std::tan(p.beta));
  const double scale = std::pow(n / (2 * kQuarterPi), 2);
  std::vector<Term> row;
  for (int dj = -2; dj <= 2; ++dj)
    for (int di = -2; di <= 2; ++di) {
      double weight = 2 * m.h_ab * kFirst[di + 2] * kFirst[dj + 2];
      if (dj == 0) weight += m.h_aa * kSecond[di + 2];
      if (di == 0) weight += m.h_bb * kSecond[dj + 2];
      if (weight == 0) continue;
      for (const Term& t : ghosts.terms(panel, j + dj, i + di)) row.push_back({t.cell, scale * weight * t.weight});
    }
  std::sort(row.begin(), row.end(), [](const Term& a, const Term& b) { return a.cell < b.cell; });
  std::size_t kept = 0;
  for (std::size_t k = 1; k < row.size(); ++k) {
    if (row[k].cell == row[kept].cell)
      row[kept].weight += row[k].weight;
    else
      row[++kept] = row[k];
  }
  row.resize(kept + 1);
  return row;
}

/// The matrix with what the projected product needs, as the context of PETSc's shell matrix.
struct Projected {
  Mat matrix;
  std::vector<double> share;  ///< cell area / area of the sphere

  void remove_mean(Vec v) const {
    double* x = nullptr;
    check(VecGetArray(v, &x), "open a vector");
    double mean = 0;
    for (std::size_t c = 0; c < share.size(); ++c) mean += share[c] * x[c];
    for (std::size_t c = 0; c < share.size(); ++c) x[c] -= mean;
    check(VecRestoreArray(v, &x), "close a vector");
  }
};

PetscErrorCode multiply_and_project(Mat shell, Vec x, Vec y) {
  void* context = nullptr;
  PetscErrorCode code = MatShellGetContext(shell, &context);
  if (code) return code;
  const auto* projected = static_cast<const Projected*>(context);
  code = MatMult(projected->matrix, x, y);
  if (code) return code;
  projected->remove_mean(y);
  return 0;
}

}  // namespace

struct EllipticSolver::Impl {
  int n = 0;
  bool singular = false;
  double norm = 0;  // infinity norm of the matrix
  petsc::Matrix matrix, shell;
  petsc::NullSpace constants;
  petsc::Solver ksp;
  petsc::Vector x, b;
  Projected projected;
  int iterations = 0;
  double residual = 0;

  void assemble(double c0, double c1) {
    const GhostInterpolation ghosts(n, kDepth);
    const PetscInt size = kPanels * n * n;
    std::vector<std::vector<Term>> rows;
    std::vector<PetscInt> counts;
    for (int panel = 0; panel < kPanels; ++panel)
      for (int j = 0; j < n; ++j)
        for (int i = 0; i < n; ++i) {
          rows.push_back(laplacian_row(ghosts, panel, j, i));
          counts.push_back(static_cast<PetscInt>(rows.back().size()));
        }
    Mat m = nullptr;
    check(MatCreateSeqAIJ(PETSC_COMM_SELF, size, size, 0, counts.data(), &m), "create a matrix");
    matrix.reset(m);
    std::vector<PetscInt> columns;
    std::vector<double> values;
    for (PetscInt r = 0; r < size; ++r) {
      columns.clear();
      values.clear();
      // The diagonal closes the row sum: constants are in the null space to the last bit that the sum can show.
      double others = 0;
      for (const Term& t : rows[r])
        if (t.cell != r) others += t.weight;
      for (const Term& t : rows[r]) {
        columns.push_back(t.cell);
        values.push_back(t.cell == r ? c0 - c1 * others : c1 * t.weight);
      }
      check(MatSetValues(m, 1, &r, static_cast<PetscInt>(columns.size()), columns.data(), values.data(), INSERT_VALUES),
            "fill a matrix");
    }
    check(MatAssemblyBegin(m, MAT_FINAL_ASSEMBLY), "assemble a matrix");
    check(MatAssemblyEnd(m, MAT_FINAL_ASSEMBLY), "assemble a matrix");
    check(MatNorm(m, NORM_INFINITY, &norm), "take the norm of a matrix");
    Vec v = nullptr;
    check(MatCreateVecs(m, &v, nullptr), "create a vector");
    x.reset(v);
    check(VecDuplicate(v, &v), "create a vector");
    b.reset(v);
  }

  void prepare_null_space() {
    projected.matrix = matrix.get();
    projected.share = cell_areas(n);
    double total = 0;
    for (double a : projected.share) total += a;
    for (double& a : projected.share) a /= total;
    const PetscInt size = kPanels * n * n;
    Mat s = nullptr;
    check(MatCreateShell(PETSC_COMM_SELF, size, size, size, size, &projected, &s), "create a shell matrix");
    shell.reset(s);
    check(MatShellSetOperation(s, MATOP_MULT, reinterpret_cast<void (*)()>(multiply_and_project)),
          "set a shell matrix up");
    MatNullSpace space = nullptr;
    check(MatNullSpaceCreate(PETSC_COMM_SELF, PETSC_TRUE, 0, nullptr, &space), "create a null space");
    constants.reset(space);
    check(MatSetNullSpace(s, space), "set a null space");
    check(MatSetNullSpace(matrix.get(), space), "set a null space");
  }

  void prepare_solver() {
    KSP k = nullptr;
    check(KSPCreate(PETSC_COMM_SELF, &k), "create a solver");
    ksp.reset(k);
    check(KSPSetOptionsPrefix(k, "tramontane_"), "set an options prefix");
    check(KSPSetOperators(k, singular ? shell.get() : matrix.get(), matrix.get()), "set a solver up");
    check(KSPSetType(k, KSPFGMRES), "choose a solver");
    check(KSPGMRESSetRestart(k, 60), "choose a solver");
    PC pc = nullptr;
    check(KSPGetPC(k, &pc), "set a preconditioner up");
    check(PCSetType(pc, PCGAMG), "set a preconditioner up");
    // A factorisation of the singular coarsest matrix returns a huge constant and loses the digits of the rest; the
    // pseudo-inverse does not.
    petsc::set_default("-tramontane_mg_coarse_pc_type", "svd");
    check(KSPSetTolerances(k, kTolerance, 1e-300, PETSC_DEFAULT, 400), "set tolerances");
    check(KSPSetFromOptions(k), "read its options");
    check(KSPSetUp(k), "set a solver up");
  }

  void put(Vec v, const std::vector<double>& values) const {
    double* to = nullptr;
    check(VecGetArrayWrite(v, &to), "open a vector");
    std::copy(values.begin(), values.end(), to);
    check(VecRestoreArrayWrite(v, &to), "close a vector");
  }
  std::vector<double> get(Vec v) const {
    const double* from = nullptr;
    check(VecGetArrayRead(v, &from), "open a vector");
    std::vector<double> values(from, from + static_cast<std::size_t>(kPanels) * n * n);
    check(VecRestoreArrayRead(v, &from), "close a vector");
    return values;
  }
};

EllipticSolver::EllipticSolver(int n, double c0, double c1, double radius) : impl_(std::make_unique<Impl>()) {
  if (c1 == 0) throw InputError("an elliptic problem needs a nonzero factor before the Laplacian");
  impl_->n = n;
  impl_->singular = c0 == 0;
  impl_->assemble(c0, c1 / (radius * radius));
  if (impl_->singular) impl_->prepare_null_space();
  impl_->prepare_solver();
}
EllipticSolver::~EllipticSolver() = default;
EllipticSolver::EllipticSolver(EllipticSolver&&) noexcept = default;
EllipticSolver& EllipticSolver::operator=(EllipticSolver&&) noexcept = default;

int EllipticSolver::last_iterations() const {
  return impl_->iterations;
}
double EllipticSolver::last_residual() const {
  return impl_->residual;
}

std::vector<double> EllipticSolver::apply(const std::vector<double>& f) const {
  impl_->put(impl_->x.get(), f);
  check(MatMult(impl_->matrix.get(), impl_->x.get(), impl_->b.get()), "multiply");
  return impl_->get(impl_->b.get());
}

std::vector<double> EllipticSolver::solve(const std::vector<double>& b, double mean) const {
  Impl& s = *impl_;
  s.put(s.b.get(), b);
  if (s.singular) s.projected.remove_mean(s.b.get());
  const std::vector<double> rhs = s.get(s.b.get());
  check(VecSet(s.x.get(), 0), "clear a vector");
  check(KSPSolve(s.ksp.get(), s.b.get(), s.x.get()), "solve");
  KSPConvergedReason reason = KSP_CONVERGED_ITERATING;
  PetscInt iterations = 0;
  check(KSPGetConvergedReason(s.ksp.get(), &reason), "give its reason");
  check(KSPGetIterationNumber(s.ksp.get(), &iterations), "count iterations");
  s.iterations = static_cast<int>(iterations);
  if (reason < 0)
    throw RunError(fmt::format("the elliptic solve at n = {} stopped after {} iterations without converging: {}", s.n,
                               iterations, KSPConvergedReasons[reason]));

  std::vector<double> f = s.get(s.x.get());
  // What the solver reports is a recursion's idea of the residual; the one that counts is formed anew.
  if (s.singular) s.projected.remove_mean(s.x.get());
  check(MatMult(s.singular ? s.shell.get() : s.matrix.get(), s.x.get(), s.b.get()), "multiply");
  const std::vector<double> product = s.get(s.b.get());
  double r2 = 0, b2 = 0, x2 = 0;
  for (std::size_t c = 0; c < f.size(); ++c) {
    r2 += (rhs[c] - product[c]) * (rhs[c] - product[c]);
    b2 += rhs[c] * rhs[c];
    x2 += f[c] * f[c];
  }
  s.residual = b2 > 0 ? std::sqrt(r2 / b2) : 0;
  const double round_off = b2 > 0 ? 1e-16 * s.norm * std::sqrt(x2 / b2) : 0;
  if (!(s.residual <= kTolerance + round_off))
    throw RunError(fmt::format("the elliptic solve at n = {} left a relative residual of {:.2e} after {} iterations",
                               s.n, s.residual, iterations));
  if (s.singular) {
    const double now = area_mean(f, s.n);
    for (double& value : f) value += mean - now;
  }
  return f;
}

std::vector<double> diffuse(const std::vector<double>& field, int n, double length, int passes) {
  if (length == 0) return field;
  if (length < 0 || passes < 1) throw InputError("smoothing needs a length of 0 or more and at least one pass");
  const EllipticSolver step(n, 1.0, -length * length / passes);
  const double mean = area_mean(field, n);
  std::vector<double> out = field;
  for (int pass = 0; pass < passes; ++pass) out = step.solve(out);
  const double drift = area_mean(out, n) - mean;
  for (double& value : out) value -= drift;
  return out;
}

}  // namespace tramontane
