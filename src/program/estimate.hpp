/// Rough size and length of a job, from its deck alone.
#pragma once

#include <string>
#include <vector>

#include "src/deck/layout.hpp"

namespace tramontane {

/// Orders of magnitude: right to a factor of two or three on the processors of the day.
struct Estimate {
  double courant = 0;           ///< Courant number of the steps, of the fine grid
  double time_step = 0;         ///< s, of the fine grid
  double fine_steps = 0;        ///< time steps of the fine grid, all integrations
  double coarse_steps = 0;      ///< time steps of the coarse grid, all integrations
  double samples = 0;           ///< samples streamed
  double solver_bytes = 0;      ///< memory of one solver rank
  double learner_bytes = 0;     ///< memory of one learner rank
  double queue_bytes = 0;       ///< of it the stream's queue, fixed at the start
  double reservoir_bytes = 0;   ///< of the learner's memory the samples, fixed at the start
  double receive_bytes = 0;     ///< and its receive buffers
  double solver_seconds = 0;    ///< wall time of the integrations
  double learner_seconds = 0;   ///< wall time of the training
  double rollout_intervals = 0;  ///< coupling intervals that the training's rollouts run, all learner ranks
  double rollout_seconds = 0;    ///< wall time of these within that of the training
  double output_bytes = 0;      ///< what is written to disk
  double wall_seconds() const;  ///< teaching and training overlap
};

Estimate estimate(const Deck& deck, Command command, const RankLayout& layout);

/// "512 B", "1.4 GB".
std::string bytes_text(double bytes);

}  // namespace tramontane
