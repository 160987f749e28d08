/// New weights on their way from the learner to the solver ranks of one job.
#pragma once

#include <mpi.h>

#include <deque>
#include <functional>
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
  /// Called again and again while finish() waits; finish() returns when it says no.
  void set_meanwhile(std::function<bool()> meanwhile) { meanwhile_ = std::move(meanwhile); }
  /// Any learner rank: it goes no further, and why.
  void give_up(const std::string& why);
  /// Every learner rank, when it has done or given up: waits for the solver's word that all ranks end together. Where
  /// one of them can not, the word does not come, and the solver ends the job.
  void await_end();

  // Solver's first rank.
  std::optional<std::vector<std::byte>> poll() override;
  void answer(const Verdict& verdict) override;
  LearnerState learner() override;
  void expect_signs() override;
  /// Whether every learner rank has come to await_end() within so many seconds; if so, they are let go.
  bool end_together(double seconds);
  /// Kills the learner processes of this node that have not come to await_end(), where mpirun would leave them: it runs
  /// with --enable-recovery.
  void kill_stragglers() const;

 private:
  struct Outgoing {
    std::vector<std::byte> bytes;
    MPI_Request request = MPI_REQUEST_NULL;
  };
  int first_learner() const { return ranks_.first_learner(); }
  struct Seat {
    std::int64_t process = 0;
    std::uint64_t node = 0;  ///< checksum of its name
  };
  void send(int to, int tag, std::vector<std::byte> bytes);
  void clear_sent();
  void listen();
  void set_lost(const std::string& why, bool takes_samples);

  MPI_Comm comm_ = MPI_COMM_NULL;  ///< own duplicate of the world
  RankLayout ranks_;
  double deadline_;
  std::deque<std::unique_ptr<Outgoing>> outgoing_;

  // Learner's side.
  double last_beat_ = 0;
  std::function<bool()> meanwhile_;

  // Solver's side.
  std::deque<std::vector<std::byte>> arrived_;
  std::vector<std::byte> arriving_;
  MPI_Request arriving_request_ = MPI_REQUEST_NULL;
  bool is_expecting_ = false;
  double heard_ = 0;      ///< when the learner was last heard
  double suspected_ = 0;  ///< since when its silence is too long; 0: it is not
  LearnerState state_;
  std::vector<Seat> seats_;         ///< of all ranks
  std::vector<bool> has_come_;      ///< to await_end(), by rank
};

}  // namespace tramontane
