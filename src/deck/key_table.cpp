// Every key of the deck: where it goes, what it takes, what it means.
#include "ml/networks/network_kind.hpp"
#include "ml/training_pass.hpp"
#include "physics/integrators/time_integrator.hpp"
#include "src/deck/key_rows.hpp"

namespace tramontane {

namespace {

#define AT(member)           \
  [](Deck & deck) -> auto& { \
    return deck.member;      \
  }

/// checkpoint.every: a length of time, or one of two words.
Key checkpoint_every() {
  Key key = duration("checkpoint.every", above(0), [](Deck& deck) -> auto& { return *deck.checkpoint.every; },
                     "model time between checkpoints; auto: 1d for a solver-only run, none for a coupled one");
  const auto set = [plain = key.set](Deck& deck, const YAML::Node& node) {
    const auto before = deck.checkpoint.every;
    const std::string word = node.IsScalar() ? node.Scalar() : "";
    deck.checkpoint.every = 0;
    if (word == "auto") deck.checkpoint.every.reset();
    if (word == "auto" || word == "none" || plain(deck, node)) return true;
    deck.checkpoint.every = before;
    return false;
  };
  const auto get = [plain = key.get](const Deck& deck) {
    const auto& every = deck.checkpoint.every;
    return !every ? std::string("auto") : *every == 0 ? std::string("none") : plain(deck);
  };
  return {key.name, key.unit, key.description, "auto, none or " + key.expects, set, get};
}

std::vector<Key> make_keys() {
  const std::string months = "a list of months YYYY-MM";
  return {
      number("grid.n", "cells", at_least(1), AT(grid.n), "cells along a panel edge of the fine grid (C-number)"),
      number("grid.tiles_per_edge", "tiles", at_least(1), AT(grid.tiles_per_edge),
             "tiles along a panel edge; 6 tiles_per_edge^2 tiles are dealt to the solver ranks"),

      one_from("physics.model", {"shallow_water"}, AT(physics.model), "equations of the solver"),
      one_from("physics.integrator", integrator_names(), AT(physics.integrator),
               "time integrator (docs/design/time-integration.md)"),
      one_from("physics.reconstruction", {"3", "5", "7"}, AT(physics.reconstruction), "order of the reconstruction in a row"),
      one_from("physics.riemann", {"lmars"}, AT(physics.riemann), "numerical flux (Chen et al. 2013)"),
      number("physics.viscosity", "m2 s-1", at_least(0), AT(physics.viscosity),
             "Laplacian diffusion of velocity and height (Galewsky et al. 2004 take 1e5)"),

      one_from("physics.helmholtz.solver", {"chebyshev", "fgmres", "gmres", "bcgs"}, AT(physics.helmholtz.solver),
               "PETSc's method for the Helmholtz problem of semi_implicit; the same bits on any ranks: chebyshev"),
      one_from("physics.helmholtz.preconditioner", {"none", "gamg", "hypre", "bjacobi", "jacobi"},
               AT(physics.helmholtz.preconditioner), "PETSc's preconditioner there; chebyshev takes none"),
      number("physics.helmholtz.tolerance", "", within(1e-12, 0.1), AT(physics.helmholtz.tolerance),
             "factor by which the residual of the first guess shrinks"),
      number("physics.helmholtz.iterations", "", at_least(1), AT(physics.helmholtz.iterations),
             "most iterations of one Helmholtz problem"),
      value("physics.helmholtz.petsc_options", "none or PETSc options in quotes", AT(physics.helmholtz.petsc_options),
            "handed to PETSc, for instance \"-ksp_monitor\""),

      choice("initial.case", AT(initial.kind), "initial state"),
      value("initial.month", "a month YYYY-MM", AT(initial.month), "month of the winds (case winds)"),
      number("initial.alpha_deg", "degrees", within(-360, 360), AT(initial.alpha_deg),
             "angle between the planet's axis and the grid's pole (all cases but winds, rest)"),
      value("initial.perturbed", "true or false", AT(initial.perturbed),
            "a bump in the height sets the instability off (case galewsky); false: exact and steady"),
      choice("initial.relief", AT(initial.relief),
             "ground under the fluid (case rest): that of data.relief, or random heights up to 3000 m in every cell"),
      number("initial.seed", "", any(), AT(initial.seed), "seed of the random relief (case rest)"),
      number("initial.mean_depth", "m", above(0), AT(initial.mean_depth),
             "mean depth of the fluid (cases winds, rest)"),
      number("initial.layer_factor", "", above(0), AT(initial.layer_factor),
             "wind of the layer over wind at the surface, equivalent-barotropic (case winds)"),
      number("initial.smoothing", "passes", at_least(0), AT(initial.smoothing),
             "passes of smoothing of the relief: one halves waves of two cells (cases winds, rest)"),

      choice("tracer.limiter", AT(tracer.limiter),
             "bounds of a case's tracer: none, global (its own least and largest value), local (the neighbours' too)"),

      value("data.winds", "a path", AT(data.winds), "classic netCDF with monthly UWND, VWND"),
      value("data.relief", "a path", AT(data.relief), "classic netCDF with the relief ROSE"),

      number("time.days", "d", above(0), AT(time.days), "length of a solver-only run"),
      number_or_auto("time.cfl", "", above(0), AT(time.cfl),
                     "Courant number from which the time step comes; auto: the integrator's own (0.8 for ssprk3)"),
      number_or_auto("time.dt", "s", above(0), AT(time.dt), "time step; auto: from the Courant number"),

      number_or_auto("ranks.solver", "ranks", at_least(1), AT(ranks.solver), "ranks that integrate"),
      number_or_auto("ranks.learner", "ranks", at_least(0), AT(ranks.learner), "ranks that train"),
      choice("ranks.placement", AT(ranks.placement),
             "where the ranks that train sit: the last of the job, the last of each node, or auto, by nodes and GPUs"),
      list("ranks.learner_ranks", "a list of ranks, counted from 0", AT(ranks.learner_ranks),
           "ranks that train by MPI's number, in place of ranks.placement; empty: as that says"),

      list("teach.months", months, AT(teach.months), "start months to teach from; empty: initial.month"),
      list("teach.validation", months, AT(teach.validation), "start months streamed but never trained on"),
      number("teach.days", "d", above(0), AT(teach.days), "length of each teaching integration"),

      duration("stream.every", above(0), AT(stream.every), "model time between samples"),
      number("stream.queue", "frames", at_least(1), AT(stream.queue), "frames a solver rank may have under way"),
      choice("stream.when_full", AT(stream.when_full), "what happens to a frame when the queue is full"),
      path_or_none("stream.archive", AT(stream.archive), "HDF5 archive that keeps every sample"),
      duration("stream.deadline", above(0), AT(stream.deadline), "longest wait for another rank before the run fails"),

      path_or_none("exchange.dir", AT(exchange.dir),
                   "folder through which two jobs meet, run without learner ranks and train; none: both roles in one job"),
      duration("exchange.silence", above(0), AT(exchange.silence),
               "the other job is taken for dead when it has given no sign of life for so long"),
      duration("exchange.wait", above(0), AT(exchange.wait), "longest wait of train for a run to begin, or to go on from its snapshot"),
      duration("exchange.final_wait", at_least(0), AT(exchange.final_wait),
               "longest wait of the run, its samples made, for the learner's last weights"),

      choice("surrogate.kind", AT(surrogate.kind), "what the network gives to the coarse solver"),
      choice("surrogate.backend", AT(surrogate.backend), "library that runs the network"),
      number("surrogate.coarse_n", "cells", at_least(1), AT(surrogate.coarse_n),
             "cells along a panel edge of the coarse grid; divides grid.n"),
      duration("surrogate.interval", above(0), AT(surrogate.interval),
               "coupling interval over which a correction holds"),
      path_or_none("surrogate.model", AT(surrogate.model), "saved model to forecast with, .h5 or .onnx (tramontane forecast)"),
      one_from("surrogate.network.type", network_names(), AT(surrogate.network.type),
               "architecture (docs/design/networks.md)"),
      number("surrogate.network.width", "channels", at_least(1), AT(surrogate.network.width),
             "channels of the first level, or of every layer"),
      number("surrogate.network.levels", "", within(1, 8), AT(surrogate.network.levels),
             "resolutions, each half the one above (unet); hidden layers (mlp)"),
      number("surrogate.network.blocks", "", within(1, 64), AT(surrogate.network.blocks),
             "residual blocks (convnext)"),
      list("surrogate.network.dilations", "a list of whole numbers, at least 1", AT(surrogate.network.dilations),
           "cells between the taps of the blocks' kernels, in turn (convnext)"),
      number("surrogate.network.expansion", "", within(1, 8), AT(surrogate.network.expansion),
             "channels inside a block over width (convnext)"),
      one_from("surrogate.network.norm", {"none", "layer", "group"}, AT(surrogate.network.norm),
               "normalisation of each cell over its channels, all together or in groups"),
      number("surrogate.network.groups", "", at_least(1), AT(surrogate.network.groups),
             "groups of channels with surrogate.network.norm = group"),
      one_from("surrogate.network.kernels", {"shared", "polar"}, AT(surrogate.network.kernels),
               "one kernel for all panels, or another for the two at the poles (Weyn et al. 2020)"),

      one_from("guard.mode", {"on", "off"}, AT(guard.mode),
               "where the network is foreign to what it sees or says, physics alone runs (docs/design/guard.md)"),
      number("guard.threshold", "", above(0), AT(guard.threshold),
             "score up to which a correction is used whole; 1 is the root mean square over the training samples"),
      number("guard.cutoff", "", above(0), AT(guard.cutoff), "score from which on it is not used at all"),

      list("learner.archives", "a list of paths", AT(learner.archives),
           "archives to train from (tramontane train); a path may be a pattern with * ? [ ], in quotes"),
      choice("learner.bad_samples", AT(learner.bad_samples),
             "what becomes of an archive's samples that are damaged or hold NaN (train)"),
      choice("learner.unfinished", AT(learner.unfinished),
             "an archive that is cut off or still being written: refuse it, or read its whole samples (train)"),
      list("learner.validation", "archive, a share between 0 and 1, or a list of months YYYY-MM",
           AT(learner.validation),
           "start months held out (train): as the archives mark them, a share of the months, or those named"),
      choice("learner.order", AT(learner.order),
             "order of samples: as they would be streamed, or by epochs, each in a new order from the seed (train)"),
      path_or_none("learner.replay", AT(learner.replay),
                   "deliveries.csv of a coupled run, to take its archive in as its learners did (train, order stream)"),
      number("learner.read_ahead", "samples", at_least(1), AT(learner.read_ahead),
             "samples of a rank read before they are needed (order shuffled)"),
      number("learner.batch", "samples", at_least(1), AT(learner.batch), "samples a step, over all learner ranks"),
      number("learner.steps", "steps", at_least(0), AT(learner.steps),
             "optimiser steps on single intervals; 0: only the fine-tuning of learner.rollout (train --from)"),
      number("learner.epochs", "epochs", at_least(0), AT(learner.epochs),
             "passes over the samples, instead of learner.steps; 0: learner.steps counts (order shuffled)"),
      number("learner.learning_rate", "", above(0), AT(learner.learning_rate),
             "peak rate of AdamW; linear warm-up, then cosine (Loshchilov and Hutter 2019)"),
      number("learner.weight_decay", "", at_least(0), AT(learner.weight_decay), "decoupled weight decay of AdamW"),
      number("learner.warmup", "steps", at_least(0), AT(learner.warmup), "steps of linear warm-up"),
      number("learner.clip", "", above(0), AT(learner.clip), "largest norm of the gradient over all weights"),
      number("learner.ema", "", within(0, 0.99999), AT(learner.ema), "decay a step of the averaged weights"),
      number("learner.reservoir", "samples", at_least(1), AT(learner.reservoir), "samples kept to draw batches from"),
      number("learner.watermark", "samples", at_least(1), AT(learner.watermark),
             "samples there must be before training starts"),
      number("learner.drift_warning", "standard deviations", above(0), AT(learner.drift_warning),
             "drift of arriving samples, from those that made the normaliser, that is warned of"),
      number("learner.validate_every", "steps", at_least(1), AT(learner.validate_every), "steps between validations"),
      number("learner.patience", "validations", at_least(0), AT(learner.patience),
             "training ends after so many without a new best; 0: it does not (order shuffled)"),
      list("learner.rollout", "a list of whole numbers from 1 to 64", AT(learner.rollout),
           "fine-tuning after the steps (train): stages of rollouts over so many coupling intervals, [2, 4, 8]; []: none"),
      number("learner.rollout_steps", "steps", at_least(1), AT(learner.rollout_steps),
             "optimiser steps of each stage of learner.rollout"),
      number("learner.rollout_rate", "", above(0), AT(learner.rollout_rate),
             "peak rate of the fine-tuning over learner.learning_rate"),
      or_none(
          [](auto at) {
            return number("learner.checkpoint_minutes", "min", above(0), at,
                          "wall clock between checkpoints of train; one is left at the end and by a signal in any case");
          },
          AT(learner.checkpoint_minutes)),
      one_from("learner.resume", {"none", "auto"}, AT(learner.resume),
               "auto: train goes on from the newest checkpoint of output.dir, if there is one"),
      one_from("learner.precision", training_precisions(), AT(learner.precision),
               "arithmetic of the network: bf16 stores activations in 16 bits where the processor has them, tf32 is cuDNN's"),
      number("learner.seed", "", any(), AT(learner.seed), "seed of the weights and of the batches"),
      value("learner.deterministic", "true or false", AT(learner.deterministic),
            "train in an order that does not depend on timing"),
      value("learner.model", "a file name", AT(learner.model), "name of the saved model inside output.dir"),
      choice("learner.when_lost", AT(learner.when_lost),
             "a learner that fails, hangs or is silent: the run goes on without it, or stops (run)"),

      number("gate.every", "steps", at_least(0), AT(gate.every),
             "training steps between weights offered to the solver; 0: the last ones alone (run)"),
      number("gate.hours", "h", at_least(0), AT(gate.hours),
             "length of the shadow forecasts that offered weights must win; 0: none"),
      number("gate.cases", "forecasts", at_least(1), AT(gate.cases), "shadow forecasts, one a lesson, of held-out months first"),
      value("gate.live", "true or false", AT(gate.live),
            "a hybrid with the weights in use accompanies the lessons (not with learner.deterministic)"),
      number("gate.margin", "", at_least(1), AT(gate.margin),
             "error of the live hybrid over that of the coarse solver alone at which weights count as bad"),
      number("gate.patience", "h", at_least(0), AT(gate.patience), "model time that they may stay so bad"),
      number("gate.fallback_limit", "", within(0, 1), AT(gate.fallback_limit),
             "share of cells in which the guard may replace the network's correction"),
      number("gate.keep", "versions", at_least(1), AT(gate.keep), "versions kept to go back to, the one in use included"),

      list("forecast.starts", months, AT(forecast.starts), "start months of the verified forecasts"),
      number("forecast.days", "d", above(0), AT(forecast.days), "length of each forecast"),
      number("forecast.members", "", at_least(1), AT(forecast.members), "members of each forecast"),

      value("output.dir", "a path", AT(output.dir), "folder for everything the run writes"),
      duration("output.every", above(0), AT(output.every), "model time between output fields"),
      number("output.latlon", "degrees", within(0, 90), AT(output.latlon),
             "spacing of the longitude-latitude copy of a solver run; 0: none"),
      value("output.plots", "true or false", AT(output.plots), "make plots and report.html at the end"),
      value("output.onnx", "true or false", AT(output.onnx), "write the trained model as ONNX, too, beside learner.model"),

      checkpoint_every(),
      or_none(
          [](auto at) {
            return number("checkpoint.minutes", "min", above(0), at,
                          "wall clock between checkpoints of a solver-only run or snapshots of a coupled one");
          },
          AT(checkpoint.minutes)),
      number("checkpoint.keep", "files", at_least(1), AT(checkpoint.keep),
             "checkpoints (snapshots) kept in output.dir/checkpoints (snapshots); older ones are removed"),
      value("checkpoint.resume", "none, auto or a path", AT(checkpoint.resume),
            "continue a run: auto takes the newest checkpoint or snapshot of output.dir, if there is one"),
  };
}

#undef AT

}  // namespace

const std::vector<Key>& deck_keys() {
  static const std::vector<Key> keys = make_keys();
  return keys;
}

}  // namespace tramontane
