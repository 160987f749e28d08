/// New weights on their way from the learner to the solver ranks of one job.
#pragma once

#include <mpi.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "src/coupled/candidate.hpp"
#include "src/deck/layout.hpp"

namespace tramontane {

/// Between the learner's first rank and the solver's first rank: candidates one way, verdicts the other. The learner
/// also tells now and then how far it is, so that a wait for a long training is no wait without a word, and any learner
/// rank can say that it gives up. No call but finish() waits for the other side.
class ModelHandover : public CandidateSource, public CandidateSink {
 public:
  /// Collective over `world`.
  ModelHandover(MPI_Comm world, const RankLayout& ranks, double deadline_seconds);
  ~ModelHandover() override;
  ModelHandover(const ModelHandover&) = delete;
  ModelHandover& operator=(const ModelHandover&) = delete;

  // Learner's first rank.
  bool is_free() override;
  void publish(std::vector<std::byte> model) override;
  std::optional<Verdict> verdict() override;
  void beat(std::int64_t step) override;
  void finish() override;
  /// Any learner rank: it goes no further, and why.
  void give_up(const std::string& why);

  // Solver's first rank.
  std::optional<std::vector<std::byte>> poll() override;
  void answer(const Verdict& verdict) override;
  LearnerState learner() override;
  void expect_signs() override;
  /// The learner was lost in a way that others found out.
  void set_lost(const std::string& why);

 private:
  struct Outgoing {
    std::vector<std::byte> bytes;
    MPI_Request request = MPI_REQUEST_NULL;
  };
  int first_learner() const { return ranks_.first_learner(); }
  void send(int to, int tag, std::vector<std::byte> bytes);
  void clear_sent();
  void listen();

  MPI_Comm comm_ = MPI_COMM_NULL;  ///< own duplicate of the world
  RankLayout ranks_;
  double deadline_;
  std::deque<std::unique_ptr<Outgoing>> outgoing_;

  // Learner's side.
  double last_beat_ = 0;

  // Solver's side.
  std::deque<std::vector<std::byte>> arrived_;
  std::vector<std::byte> arriving_;
  MPI_Request arriving_request_ = MPI_REQUEST_NULL;
  bool is_expecting_ = false;
  double heard_ = 0;      ///< when the learner was last heard
  double suspected_ = 0;  ///< since when its silence is too long; 0: it is not
  LearnerState state_;
};

}  // namespace tramontane
