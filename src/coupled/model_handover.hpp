/// The trained model's way from the learner to the solver ranks of one job.
#pragma once

#include <mpi.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "ml/model.hpp"
#include "src/deck/layout.hpp"

namespace tramontane {

/// The learner's first rank tells the solver's first rank now and then how far it is, so that a wait for a long
/// training is no wait without a word, and at the end sends the model file's bytes. All solver ranks receive the same
/// bytes and check them as they would a file.
class ModelHandover {
 public:
  /// Collective over `world`. `solvers` is the solver ranks' communicator (MPI_COMM_NULL on learners).
  ModelHandover(MPI_Comm world, const RankLayout& ranks, MPI_Comm solvers, double deadline_seconds);
  ~ModelHandover();
  ModelHandover(const ModelHandover&) = delete;
  ModelHandover& operator=(const ModelHandover&) = delete;

  /// Learner's first rank: a sign of life, sent when the last one has gone and some seconds have passed.
  void beat(std::int64_t step);
  /// Learner's first rank: sends the model. Throws RunError when the solver does not take it within the deadline.
  void send(const Model& model);
  /// Solver's first rank (nothing on the others): takes whatever has come, so that a learner that has done is not left
  /// waiting while the solvers are busy. Never waits.
  void listen();
  /// Solver ranks, collective: waits for the model, calling `on_beat(step)` on the first rank about every half minute
  /// while signs of life come. Throws RunError when the learner has been silent for the deadline.
  Model receive(const std::function<void(std::int64_t)>& on_beat);

 private:
  int first_learner() const { return ranks_.first_learner(); }

  MPI_Comm comm_ = MPI_COMM_NULL;  ///< own duplicate of the world
  MPI_Comm solvers_;
  int solver_rank_ = -1;  ///< among the solvers; -1 on learners
  RankLayout ranks_;
  double deadline_;
  std::vector<std::byte> received_;  ///< the model's bytes, once they are here
  double heard_ = 0;                 ///< when the learner was last heard
  std::int64_t heard_step_ = 0;
  std::int64_t beat_step_ = 0;
  double last_beat_ = 0;
  MPI_Request beat_request_ = MPI_REQUEST_NULL;
};

}  // namespace tramontane
