#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/errors.hpp"
#include "kernels/tiling.hpp"
#include "physics/integrators/time_integrator.hpp"
#include "src/deck/checks.hpp"
#include "src/deck/duration.hpp"
#include "src/deck/network_spec.hpp"
#include "src/output/run_folder.hpp"
#include "src/preflight/preflight.hpp"
#include "src/program/collective_guard.hpp"
#include "src/program/commands.hpp"
#include "src/program/estimate.hpp"
#include "src/program/input_files.hpp"
#include "src/program/progress.hpp"

namespace tramontane {
namespace {

void row(const std::string& name, const std::string& value) {
  fmt::print("  {:<22}{}\n", name, value);
}

void print_files(const Deck& deck, Command planned) {
  fmt::print("files\n");
  if (reads_winds(deck, planned)) {
    const WindFileMonths months = read_wind_months(deck.data.winds);
    row("winds", fmt::format("{}, {} to {}", deck.data.winds, months.first.text(), months.last.text()));
  }
  if (reads_relief(deck, planned)) row("relief", deck.data.relief);
  if (has_two_jobs(deck, planned)) row("exchange folder", *deck.exchange.dir + " (writable)");
  if (planned == Command::train && !has_two_jobs(deck, planned)) row("archives", fmt::format("{}", fmt::join(deck.learner.archives, ", ")));
  if (deck.surrogate.model) row("model", *deck.surrogate.model);
  row("output folder", deck.output.dir + " (writable)");
}

void print_ranks(const Deck& deck, const RankLayout& layout, const std::vector<Seat>& seats) {
  const Tiling tiling(deck.grid.n, deck.grid.tiles_per_edge, std::max(1, layout.solvers));
  // Ranks are numbered by role; MPI's own numbers are those of mpirun and of the batch system.
  const auto line = [](const auto&... columns) {
    fmt::print("  {:<8}{:<10}{:<8}{:<18}{:<8}{:<22}{:<8}{}\n", columns...);
  };
  fmt::print("ranks: {}\n", seats_text(seats));
  line("rank", "role", "MPI", "node", "local", "GPU", "tiles", "cells of the fine grid");
  // A long list would bury the rest: the first ranks of each role stand for the others.
  constexpr int kShown = 8;
  for (int rank = 0; rank < layout.total(); ++rank) {
    const bool learner = layout.is_learner(rank);
    const int in_role = layout.index_in_role(rank);
    const int role_size = learner ? layout.learners : layout.solvers;
    if (in_role == kShown && role_size > kShown + 1) fmt::print("  ...\n");
    if (in_role >= kShown && role_size > kShown + 1 && in_role + 1 < role_size) continue;
    const Seat& seat = seats[static_cast<std::size_t>(rank)];
    std::string gpu = "none";
    if (seat.gpu >= 0)
      gpu = fmt::format("{}{}", seat.gpu_name, seat.gpu_users > 1 ? fmt::format(", {} ranks", seat.gpu_users) : "");
    const int tiles = learner ? 0 : tiling.owned_count(rank);
    line(rank, learner ? "learner" : "solver", seat.world_rank, seat.node_name, seat.local_rank, gpu, tiles,
         tiles * tiling.cells_per_tile());
  }
}

/// Refuses a step in seconds that the start can not take; the margin is for what the estimate does not know.
void check_step(const Deck& deck, const Estimate& e) {
  const IntegratorTraits& traits = integrator_traits(deck.physics.integrator);
  const double limit = traits.courant_limit.at(deck.physics.reconstruction);
  if (deck.time.dt && e.courant > 1.05 * limit)
    throw InputError(
        fmt::format("{}time.dt = {:g} s is past the stability limit of about {:.3g} s of {} at C{}: lower "
                    "time.dt, or set it to auto",
                    deck.where("time.dt"), *deck.time.dt, *deck.time.dt * limit / e.courant, traits.name, deck.grid.n));
}

void print_method(const Deck& deck, const Estimate& e) {
  const PhysicsDeck& physics = deck.physics;
  const IntegratorTraits& traits = integrator_traits(physics.integrator);
  fmt::print("method\n");
  row("integrator", fmt::format("{}, order {}, {} stages", traits.name, traits.order, traits.stages));
  row("Courant number",
      fmt::format("{:.3g} (stable up to {:g})", e.courant, traits.courant_limit.at(physics.reconstruction)));
  row("reconstruction", fmt::format("order {}: {} cells in a row, {} ghost cells", physics.reconstruction,
                                    physics.reconstruction, physics.reconstruction / 2 + 1));
  if (physics.viscosity > 0) row("viscosity", fmt::format("{:g} m2 s-1", physics.viscosity));
  if (tracer_count(deck) > 0)
    row("tracers", fmt::format("{}, limiter {}", tracer_count(deck), name_of(deck.tracer.limiter)));
}

/// The network that will be trained, layer by layer.
void print_network(const Deck& deck) {
  const NetworkSpec spec = network_spec(deck, deck.surrogate.coarse_n);
  const NetworkGraph graph = build_graph(spec);
  fmt::print("network\n");
  row("architecture", fmt::format("{} of width {}, {} inputs, {} outputs, {} kernels, normalisation {}", spec.type,
                                  spec.width, spec.inputs, spec.outputs, spec.kernels, spec.norm));
  fmt::print("  {:<22}{:<16}{:<10}{:<12}{:<14}{}\n", "layer", "kind", "grid", "channels", "kernel", "parameters");
  for (const NetworkNode& node : graph.nodes) {
    std::size_t parameters = 0;
    for (int b = 0; b < node.block_count; ++b) parameters += graph.blocks[node.first_block + b].size;
    const LayerAttributes& a = node.attributes;
    std::string kernel;
    if (node.kind == "convolution") kernel = fmt::format("{} x {}", a.kernel, a.kernel);
    if (a.dilation > 1) kernel += fmt::format(" every {}", a.dilation);
    if (a.groups > 1) kernel = fmt::format("{} groups", a.groups);
    fmt::print("  {:<22}{:<16}{:<10}{:<12}{:<14}{}\n", node.name, node.kind, fmt::format("C{}", spec.n >> node.level),
               fmt::format("{} -> {}", node.in_channels, node.out_channels), kernel, parameters);
  }
  row("parameters", fmt::format("{}", graph.parameters()));
  row("receptive field", fmt::format("{} cells across; a panel has {}", graph.receptive_field(), spec.n));
  const double flops = graph.flops_per_sample(spec.n);
  row("operations a sample", fmt::format("{:.4g} GFLOP forward, {:.4g} GFLOP to train on", 1e-9 * flops, 3e-9 * flops));
  row("memory, one sample",
      fmt::format("{} of activations and gradients in training", bytes_text(4 * training_elements(graph, spec.n, 1))));
}

void print_work(const Deck& deck, const Estimate& e, const RankLayout& layout) {
  fmt::print("work (orders of magnitude)\n");
  if (e.fine_steps > 0) {
    row("fine grid",
        fmt::format("C{}, {} cells, {:.0f} km, {:.0f} steps of {:.3g} s", deck.grid.n, 6 * deck.grid.n * deck.grid.n,
                    1e-3 * std::sqrt(5.1006e14 / 6) / deck.grid.n, e.fine_steps, e.time_step));
  }
  if (e.coarse_steps > 0) row("coarse grid", fmt::format("C{}, {:.0f} steps", deck.surrogate.coarse_n, e.coarse_steps));
  if (e.samples > 0) row("samples", fmt::format("{:.0f}, one every {}", e.samples, duration_text(deck.stream.every)));
  if (layout.learners > 0)
    row("training", fmt::format("{} steps of {} samples", deck.learner.steps, deck.learner.batch));
  if (!deck.learner.rollout.empty() && layout.learners > 0) {
    row("fine-tuning", fmt::format("{} stages of {} steps, rollouts over {} coupling intervals",
                                   deck.learner.rollout.size(), deck.learner.rollout_steps,
                                   fmt::join(deck.learner.rollout, ", ")));
    row("its rollouts", fmt::format("{:.0f} coarse intervals, {} of the wall time", e.rollout_intervals,
                                    wall_clock_text(e.rollout_seconds)));
  }
  // What a stream holds is fixed at the start; the rest is an estimate.
  if (layout.solvers > 0)
    row("memory, solver rank",
        bytes_text(e.solver_bytes) +
            (e.queue_bytes > 0 ? fmt::format(", of it {} for the stream's queue", bytes_text(e.queue_bytes)) : ""));
  if (layout.learners > 0)
    row("memory, learner rank",
        bytes_text(e.learner_bytes) + fmt::format(", of it {} for samples and {} of receive buffers",
                                                  bytes_text(e.reservoir_bytes), bytes_text(e.receive_bytes)));
  row("disk", bytes_text(e.output_bytes));
  row("wall time", wall_clock_text(e.wall_seconds()));
}

void print_plan(const CommandContext& context, const Estimate& e) {
  const Deck& deck = context.deck;
  const RankLayout& layout = context.ranks;
  fmt::print("{}: fit for tramontane {} on {} rank(s)\n", deck.file, name_of(context.line.planned), layout.total());
  print_files(deck, context.line.planned);
  if (context.world == MPI_COMM_WORLD) print_ranks(deck, layout, context.seats);  // else the preflight's table says more
  if (e.fine_steps > 0) print_method(deck, e);
  if (layout.learners > 0) print_network(deck);
  print_work(deck, e, layout);
}

}  // namespace

int command_check(const CommandContext& context) {
  const Deck& deck = context.deck;
  const Command planned = context.line.planned;
  const RankLayout& layout = context.ranks;
  check_deck(deck, planned, layout);

  collective_guard(context.world, [&] {
    if (!context.is_root()) return;
    const auto require_writable = [&](const char* key, const std::string& value, const std::filesystem::path& folder) {
      const std::string in_the_way = why_not_writable(folder);
      if (!in_the_way.empty())
        throw InputError(fmt::format("{}{} = {} can not be written to ({}): choose another folder", deck.where(key),
                                     key, value, in_the_way));
    };
    require_writable("output.dir", deck.output.dir, deck.output.dir);
    if (has_two_jobs(deck, planned)) require_writable("exchange.dir", *deck.exchange.dir, *deck.exchange.dir);
    if (is_coupled(deck, planned) && deck.stream.archive)
      require_writable("stream.archive", *deck.stream.archive,
                       std::filesystem::absolute(*deck.stream.archive).parent_path());
    check_input_files(deck, planned);
  });
  const Estimate e = estimate(deck, planned, layout);
  collective_guard(context.world, [&] {
    if (e.fine_steps > 0) check_step(deck, e);
  });
  if (context.is_root()) print_plan(context, e);
  // On the job's own ranks there is more to look at than the deck.
  return context.world == MPI_COMM_WORLD ? kExitDone : preflight(context, e);
}

}  // namespace tramontane
