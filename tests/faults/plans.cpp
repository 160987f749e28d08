// The kinds of fault, and what a seed makes of each.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <random>

#include "campaign.hpp"

namespace tramontane::testing {

namespace {

using Random = std::mt19937_64;

double uniform(Random& random, double low, double high) {
  return low + (high - low) * (static_cast<double>(random() >> 11) * 0x1p-53);
}

std::string order(int rank, const std::string& place, std::uint64_t number, const std::string& what) {
  return fmt::format("rank={},at={}:{},do={}", rank, place, number, what);
}

/// What of a kind has two forms.
bool starts_with(const std::string& kind, const char* with) {
  return kind.starts_with(with);
}

/// The moment of the plan, drawn before its kind is looked at.
struct Draw {
  int solver = 0, learner = 0;  ///< ranks of the job
  std::uint64_t train_step = 0, sample = 0;
};

/// The process goes: the job ends, and goes on from its last snapshot.
void end_by_kill(FaultPlan& plan) {
  plan.codes = {137, 1, 3, 255};
  plan.goes_on = plan.same_bits = true;
  plan.named = "exited on signal 9";
}

/// What is done to a process of either role alike, at a place that it passes.
void hit_process(FaultPlan& plan, int rank, const char* place, std::uint64_t number, const std::string& what,
                 Random& random) {
  if (what == "killed") {
    plan.orders = order(rank, place, number, "kill");
    end_by_kill(plan);
  } else if (what == "stopped") {
    plan.orders = order(rank, place, number, "stop");
    plan.deadline = kShortDeadline;
  } else {
    plan.orders = order(rank, place, number, fmt::format("delay:{:.2f}", uniform(random, 0.2, 4)));
    plan.same_bits = true;
  }
}

void hit_learner(FaultPlan& plan, const Draw& draw, const std::string& what, Random& random) {
  if (what == "fails") {
    plan.orders = order(draw.learner, "learner", draw.train_step, "fail");
    plan.named = fmt::format("the learner is lost, .*learner rank {} gave up: a fault that was ordered", draw.learner);
    return;
  }
  hit_process(plan, draw.learner, "train-step", draw.train_step, what, random);
  if (what == "stopped") plan.named = "the learner is lost, the run goes on with ";
}

void hit_solver(FaultPlan& plan, const Draw& draw, const std::string& what, Random& random) {
  hit_process(plan, draw.solver, "lesson-sample", draw.sample, what, random);
  if (what != "stopped") return;
  plan.codes = {3};
  plan.goes_on = plan.same_bits = true;
  plan.named = fmt::format("rank {} does not answer", draw.solver);
}

/// NaN and infinity: where they arise they are named, and they get no further.
bool put_wild_value(FaultPlan& plan, const Draw& draw, Random& random) {
  const std::string what = starts_with(plan.kind, "NaN") ? "nan" : "inf";
  if (!starts_with(plan.kind, "NaN") && !starts_with(plan.kind, "Inf")) return false;
  const std::string place = plan.kind.substr(4);
  if (place == "in a gradient") {
    plan.orders = order(draw.learner, "gradient", draw.train_step, what);
    plan.named = R"(the gradient of \S+ is not finite)";
  } else if (place == "in a candidate") {
    plan.orders = order(plan.solvers, "candidate", 1 + random() % 3, what);
    plan.named = "rejected at sample .*weights are not finite, first in ";
  } else if (place == "in weights in use") {
    plan.orders = fmt::format("rank={},at=promotion,do={}", draw.solver, what);
    plan.named = fmt::format("its weights are not finite on solver rank {}", draw.solver);
  } else if (place == "in a frame") {
    plan.orders = order(draw.solver, "frame", draw.sample, what);
    plan.named = fmt::format(
        "the stream rejects .*frame of solver rank {}: sample {} holds a number that is not finite in "
        "surface_height",
        draw.solver, draw.sample);
    plan.rejects = 1;
  } else if (place == "in a network's output") {
    plan.orders = order(draw.solver, "network-output", 1 + random() % kNetworkCalls, what);
    plan.named = fmt::format("solver rank {}: the network's output is not finite in 1 values", draw.solver);
  } else if (place == "in a hybrid forecast") {
    plan.orders = order(draw.solver, "correction", 1 + random() % kNetworkCalls, what);
    plan.named = "(in a shadow forecast|in a hybrid forecast) the correction of the hybrid on C12 is not finite at ";
  } else if (place == "in the live hybrid") {
    // Slow lessons and months alike, so that weights are promoted while there are lessons left; and after the twelve
    // calls of two shadow forecasts.
    plan.orders = fmt::format("rank=0,at=lesson-sample:10+,do=delay:0.2; {}",
                              order(draw.solver, "correction", 13 + random() % 16, what));
    plan.settings =
        " --set learner.deterministic=false --set gate.every=10 --set learner.validate_every=10"
        " --set 'teach.months=[1983-01,1984-01,1985-01]' --set 'teach.validation=[1986-01]'";
    plan.named =
        "(beside the lessons|in a shadow forecast|in a hybrid forecast) the correction of the hybrid on C12 is not "
        "finite at ";
  } else if (place == "in a hybrid forecast's state") {
    plan.orders = order(draw.solver, "state", kSolverSteps + random() % kHybridSteps, what);
    plan.named = "in a hybrid forecast the solver on C12 blew up at .* h: depth is NaN at tile ";
  } else {  // in a solver's state: fine or coarse, in lessons, shadow or reference forecasts
    plan.orders = order(draw.solver, "state", 1 + random() % kSolverSteps, what);
    plan.deadline = kShortDeadline;
    plan.codes = {0, 3};
    plan.goes_on = plan.same_bits = true;
    plan.named =
        fmt::format("the solver on C(12|24) blew up at .* h: depth is {} at tile ", what == "nan" ? "NaN" : "inf m");
  }
  return true;
}

}  // namespace

const std::vector<std::string>& fault_kinds() {
  static const std::vector<std::string> kinds = {"learner killed",
                                                 "learner stopped",
                                                 "learner fails",
                                                 "learner pauses",
                                                 "one of two learners killed",
                                                 "one of two learners stopped",
                                                 "one of two learners fails",
                                                 "learner of two solvers stopped",
                                                 "solver killed",
                                                 "solver stopped",
                                                 "solver pauses",
                                                 "NaN in a frame",
                                                 "Inf in a frame",
                                                 "frame corrupted",
                                                 "NaN in a gradient",
                                                 "Inf in a gradient",
                                                 "NaN in a candidate",
                                                 "NaN in weights in use",
                                                 "NaN in a network's output",
                                                 "Inf in a network's output",
                                                 "NaN in a hybrid forecast",
                                                 "Inf in a hybrid forecast",
                                                 "NaN in the live hybrid",
                                                 "NaN in a solver's state",
                                                 "NaN in a hybrid forecast's state",
                                                 "job killed",
                                                 "signal to all",
                                                 "signal to one rank",
                                                 "disk full",
                                                 "disk full at the end",
                                                 "snapshot damaged"};
  return kinds;
}

FaultPlan make_plan(const std::string& kind, std::uint64_t seed) {
  // The name, and not its place in the list, so that a new kind leaves the others' plans alone.
  std::uint64_t of_kind = 0xcbf29ce484222325;
  for (const char letter : kind) of_kind = (of_kind ^ static_cast<unsigned char>(letter)) * 0x100000001b3;
  Random random(seed * 1000003 + of_kind);
  FaultPlan plan;
  plan.kind = kind;
  plan.seed = seed;
  plan.solvers = 1 + static_cast<int>(random() % 2);
  plan.learners = random() % 4 == 0 ? 2 : 1;
  std::string what = kind;
  if (starts_with(kind, "one of two learners ")) {
    plan.learners = 2;
    what = "learner " + kind.substr(std::string("one of two learners ").size());
  } else if (kind == "learner of two solvers stopped") {
    plan.solvers = 2;
    plan.learners = 1;
    what = "learner stopped";
  }
  Draw draw;
  draw.learner = plan.solvers + static_cast<int>(random() % static_cast<unsigned>(plan.learners));
  draw.solver = static_cast<int>(random() % static_cast<unsigned>(plan.solvers));
  draw.train_step = 1 + random() % 119;
  draw.sample = random() % 48;
  plan.codes = {0};
  if (put_wild_value(plan, draw, random)) return plan;
  if (starts_with(what, "learner ")) {
    hit_learner(plan, draw, what.substr(8), random);
  } else if (starts_with(what, "solver ")) {
    draw.sample += 1;  // counted when it is done
    hit_solver(plan, draw, what.substr(7), random);
  } else if (kind == "frame corrupted") {
    plan.orders = order(draw.solver, "frame", draw.sample, "corrupt");
    plan.named = fmt::format("the stream rejects .*frame of solver rank {}: .*checksum", draw.solver);
    plan.rejects = 1;
  } else if (kind == "job killed") {
    plan.signal = SIGKILL;
    plan.moment = uniform(random, 0, 4);
    end_by_kill(plan);
    plan.codes = {137, 1, 255};
  } else if (kind == "signal to all" || kind == "signal to one rank") {
    plan.signal = random() % 2 ? SIGTERM : SIGUSR1;
    plan.moment = uniform(random, 0, 3);
    if (kind == "signal to one rank")
      plan.target = static_cast<int>(random() % static_cast<unsigned>(plan.solvers + plan.learners));
    plan.codes = {4};
    plan.goes_on = plan.same_bits = true;
    plan.named = "the snapshot is .*checkpoint.resume=auto";
  } else if (kind == "disk full") {
    plan.file_limit_kb = static_cast<long>(uniform(random, 700, 1200));
    plan.named = "the archive ends here, the run goes on";
  } else if (kind == "disk full at the end") {
    plan.file_limit_kb = static_cast<long>(uniform(random, 200, 400));
    plan.deadline = kShortDeadline;
    plan.codes = {3};
    plan.goes_on = plan.same_bits = true;
    plan.named = "there is no room for .*forecast.nc";
  } else if (kind == "snapshot damaged") {
    draw.sample = 20 + random() % 28;
    hit_solver(plan, draw, "killed", random);
    plan.damages_snapshot = true;
  }
  return plan;
}

std::string FaultPlan::text() const {
  std::string out = fmt::format("{} (seed {}, {}+{} ranks)", kind, seed, solvers, learners);
  if (!orders.empty()) out += ": " + orders;
  if (signal) out += fmt::format(": signal {} to {} after {:.2f} s", signal, target, moment);
  if (file_limit_kb) out += fmt::format(": files of at most {} kB", file_limit_kb);
  return out;
}

}  // namespace tramontane::testing
