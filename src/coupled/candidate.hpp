/// New weights on their way from a learner to the solver: what travels, and between which two ends.
///
/// A candidate is the bytes of a model file: weights, normaliser, self-test and checksum in one piece. What its learner
/// says of it stands in its provenance, so that one file tells all, in a message as in a folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ml/model.hpp"

namespace tramontane {

struct CandidateFacts {
  std::int64_t version = 0;               ///< counts what a learner has offered, from 1
  std::int64_t training_step = 0;         ///< optimiser steps behind the weights
  std::optional<double> held_out_loss;    ///< none without held-out samples
  std::optional<double> persistence_loss; ///< loss of correcting nothing, over the same samples
  bool is_last = false;                   ///< training is over

  /// Held-out loss over that of correcting nothing. The held-out samples become more while lessons run: of losses that
  /// belong to different sets of them only this can be compared.
  std::optional<double> relative_loss() const;
};

/// Puts the facts into the model's provenance (JSON object "candidate"), and reads them. The latter throws InputError
/// when they are missing or are not what they should be.
void write_facts(Model& model, const CandidateFacts& facts);
CandidateFacts read_facts(const Model& model);

/// What became of a candidate, and which version is in use now.
struct Verdict {
  std::int64_t version = 0;        ///< judged
  bool is_promoted = false;
  std::int64_t current = 0;        ///< 0: physics alone
  double current_loss = 1;         ///< relative held-out loss of the version in use; 1: physics alone, or none known
};

struct LearnerState {
  bool is_lost = false;   ///< it has died, hangs or gave up
  std::string why;        ///< lost: one sentence
  bool takes_samples = false;  ///< lost, but still takes in what is sent to it: the stream has a regular end
  bool is_done = false;   ///< it has offered its last, and poll() has handed that out
  std::int64_t step = 0;  ///< that it was last known to be at
};

/// The solver's end, on the first solver rank alone. Nothing here waits.
class CandidateSource {
 public:
  virtual ~CandidateSource() = default;
  /// The next candidate's bytes, in the order they were offered.
  virtual std::optional<std::vector<std::byte>> poll() = 0;
  virtual void answer(const Verdict& verdict) = 0;
  /// The last verdict of a run that goes on from a snapshot, and what is in use; version 0 when there was none.
  virtual void take_up(const Verdict&) {}
  /// Lost once means lost for good, unless the source can take a learner back.
  virtual LearnerState learner() = 0;
  /// All samples are with the learner: from now on it has no reason to be silent for longer than the deadline.
  virtual void expect_signs() {}
};

/// The learner's end, on the first learner rank alone.
class CandidateSink {
 public:
  virtual ~CandidateSink() = default;
  /// Whether what was published has left, so that more may follow: this side holds one candidate at most.
  virtual bool is_free() = 0;
  /// Hands bytes on. Does not wait.
  virtual void publish(std::vector<std::byte> model) = 0;
  /// Verdicts in the order of versions, each once. Does not wait.
  virtual std::optional<Verdict> verdict() = 0;
  /// A sign of life. Does not wait.
  virtual void beat(std::int64_t step) = 0;
  /// Says that nothing more comes, and waits until all has been taken; throws RunError past the deadline.
  virtual void finish() = 0;
};

}  // namespace tramontane
